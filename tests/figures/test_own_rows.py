"""Own methods, own seeds and an own profile stand in the paper's tables and figures, by parameters alone."""

import copy
import json

import matplotlib.pyplot as plt
import pytest
from helpers import small
from results_workspace import record

from mngac.figures import clean_and_union, components
from mngac.figures.style import method_looks
from mngac.params.checks import parse
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import record_path
from mngac.results import tables

METHODS = ("sat", "quiet", "mine", "other")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Parameters of a run with two methods, two seeds and a profile of one's own, and its records."""
    monkeypatch.chdir(tmp_path)
    raw = small(methods=METHODS, seeds=[3, 7], profiles=["wide"])
    raw["radii"]["wide"] = {"digits": {"linf": 0.1, "l1": 0.1, "l2": 0.1}}
    for name in METHODS[1:]:
        raw["methods"][name] = {"like": "sat", "beta": 1}
    raw["tables"] |= {"components": [*METHODS], "reference": "mine", "baseline": "sat"}
    for i, method in enumerate(METHODS):
        for seed in (3, 7):
            content = {**record(method, 4 + 2 * i + (seed + i) % 3, 10.0 * (i + 1)), "seed": seed, "profile": "wide"}
            path = tmp_path / record_path(
                {k: str(content[k]) for k in ("dataset", "method", "seed", "suite", "profile")}
            )
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))
    return raw


def test_own_rows_stand_in_the_table_in_the_order_given_against_their_reference(own):
    (section,) = tables.sections(parse(own), "components")
    assert [line["method"] for line in section.printed] == [*METHODS]
    cost = [line["cost (x sat)"] for line in section.printed]
    assert cost == ["1.00", "2.00", "3.00", "4.00"]
    p = {line["method"]: line["p (vs mine)"] for line in section.printed}
    assert p["mine"] == "–" and p["sat"] != "–"
    assert (
        "p: union against mine" in section.caption and "2 seeds (3, 7)" in section.caption and "wide" in section.title
    )


def test_own_rows_stand_in_the_figure_with_their_names_and_the_reference_in_black(own):
    figure = components.draw(parse(own))
    (axis,) = figure.axes
    texts = [text.get_text() for text in axis.texts]
    assert {"sat: one norm a batch", "quiet", "mine", "other"} <= set(texts)
    faces = [patch.get_facecolor()[0] for patch in axis.patches[:: len(components.COLUMNS)]]
    assert faces[METHODS.index("mine")] < 0.2 and len({(p.get_facecolor(), p.get_hatch()) for p in axis.patches}) == 4
    plt.close(figure)


def test_more_rows_than_faces_are_drawn(own):
    own["tables"]["components"] = [*METHODS, *list(own["methods"])[:8]]
    own["tables"]["components"] = list(dict.fromkeys(own["tables"]["components"]))
    figure = components.draw(parse(own))
    assert len(figure.axes[0].patches) == len(METHODS) * len(components.COLUMNS)
    plt.close(figure)


def test_the_clean_and_union_figure_marks_the_reference_and_counts_in_the_baseline(own):
    figure = clean_and_union.draw(parse(own))
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert bold == ["mine  3.00"] and "sat's as 1" in " ".join(figure._supxlabel.get_text().split())
    plt.close(figure)


def test_the_reference_is_black_in_figures_of_classifiers():
    looks = method_looks(["nat", "mine"], "mine")
    assert looks["mine"].colour == "#000000" and looks["nat"].colour != "#000000"


def test_results_change_with_the_tables_they_show_and_no_training_does(own):
    changed = copy.deepcopy(own)
    changed["tables"]["reference"] = "other"
    before, after = parse(own), parse(changed)
    where = dict(dataset="digits", method="mine", seed="3", suite="apgd", profile="wide")
    differ = [
        stage
        for stage in ("data", "train", "evaluate", "tables", "figures", "model_figures", "report")
        if job(before, stage, **where).stated() != job(after, stage, **where).stated()
    ]
    assert differ == ["tables", "figures", "model_figures", "report"]
