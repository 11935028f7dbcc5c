"""The stage `competitiveness`: its table and figure come from the records, repeat byte for byte, and survive gaps."""

import struct
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import pytest
from attack_space import HELD, SPACE, written

from mngac.figures import competitiveness
from mngac.figures.style import STYLE
from mngac.pipeline.jobs import job
from mngac.results.competitiveness import measured


def ran(folder, params):
    """What the stage writes, in a workspace and a cache of its own."""
    assert job(params, "competitiveness", space="lp").run() == "made"
    return {path.name: path.read_bytes() for path in (folder / "results").rglob("*.*")}


def test_two_runs_write_equal_files(tmp_path, monkeypatch):
    files = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MNGAC_CACHE", str(folder / "cache"))
        files.append(ran(folder, written(folder, HELD)))
    assert sorted(files[0]) == [f"competitiveness-lp.{form}" for form in ("csv", "json", "md", "png", "svg", "tex")]
    assert files[0] == files[1]
    width, height = struct.unpack(">II", files[0]["competitiveness-lp.png"][16:24])
    assert 800 <= width <= 2000 and 500 <= height <= 2000
    assert ET.fromstring(files[0]["competitiveness-lp.svg"]).tag.endswith("svg")


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws the figure of some records; gives its axes."""
    monkeypatch.chdir(tmp_path)

    def draw(*by_seed, **changes):
        params = written(tmp_path, *by_seed, **changes)
        with plt.rc_context(STYLE):
            return competitiveness.draw([measured(params, "digits", "lp")], params.tables.reference)

    yield draw
    plt.close("all")


def heights(axis, colour):
    """Of the curves in a colour: their points' heights."""
    return [
        list(line.get_ydata()) for line in axis.get_lines() if line.get_color() == colour and len(line.get_xdata()) > 1
    ]


def test_the_envelope_is_what_each_radiuss_own_specialist_reaches(drawn):
    linf, l1, union, *_ = drawn(HELD).axes
    assert heights(linf, competitiveness.ENVELOPE.colour) == [[80, 50]]
    assert heights(l1, competitiveness.ENVELOPE.colour) == [[80, 40]]
    assert heights(union, competitiveness.ENVELOPE.colour) == []


def test_curves_lead_from_clean_images_over_the_radii_in_the_order_of_the_space(drawn):
    linf, l1, union, *_ = drawn(HELD).axes
    specialists = [[90, 60, 50], [90, 40, 10], [90, 80, 40]]
    assert sorted(heights(linf, competitiveness.FAINT)) == sorted(specialists)
    assert list(linf.get_lines()[0].get_xdata()) == [0, 0.5, 1] == list(linf.get_xticks())
    assert [text.get_text() for text in linf.get_xticklabels()] == ["0", "0.1", "0.2"]
    sat = [list(line.get_ydata()) for line in union.get_lines()]
    assert [90, 60, 30] in sat
    assert {"sat", "nat"} == {text.get_text() for text in l1.texts}


def test_every_method_has_a_row_of_marks_for_each_set_of_attacks(drawn):
    rows = drawn(HELD).axes[3:]
    assert [text.get_text() for text in rows[0].get_yticklabels()] == list(HELD)
    for axis in rows:
        marks = [line for line in axis.get_lines() if line.get_marker() in ("o", "D")]
        assert len(marks) == 2 * len(HELD)


def test_missing_records_leave_out_their_marks_alone(drawn):
    rows = drawn({method: counts for method, counts in HELD.items() if method != "sat"}).axes[3:]
    assert len([line for line in rows[0].get_lines() if line.get_marker() == "o"]) == len(HELD) - 1


def test_without_any_record_the_panels_say_so(drawn):
    assert "no record" in drawn({}).axes[0].texts[0].get_text()


@pytest.mark.parametrize("space", [
    {**SPACE, "profiles": ["half"], "specialists": {"l1": ["adv_l1"]}},
    {**SPACE, "clean": "nat"},
])  # fmt: skip
def test_spaces_of_one_radius_and_norm_or_with_clean_images_are_drawn(drawn, space):
    columns = len(space["specialists"]) + 1
    assert len(drawn(HELD, space=space).axes) == 2 * columns


def test_several_seeds_are_drawn_with_their_spread(drawn):
    figure = drawn(HELD, HELD | {"sat": (4, 5, 6, 3)})
    assert "standard deviation over seeds" in figure.get_supxlabel()
