"""Figures: every file is drawn, says its n and seed, repeats byte for byte, and survives what is missing."""

import csv
import itertools
import json
import struct
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import raw_params, small_params
from results_workspace import made, record

from mngac.figures import (
    clean_and_union,
    components,
    decision_boundary,
    features,
    generator,
    learning_curves,
    loss_landscape,
    motivation,
    over_radius,
    subjects,
    union_and_cost,
)
from mngac.figures.style import NORM_LOOKS, OTHERS, STYLE, apart, method_looks, seeds, spread
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import FIGURES, MODEL_FIGURES
from mngac.results.records import Record, RecordError
from mngac.results.rows import Row

METHODS = ("nat", "sat", "sat_ac", "mng_ac")


def drawn(folder, params):
    """Runs both stages in a folder."""
    for stage, wildcards in (("figures", {}), ("model_figures", {"dataset": "digits"})):
        assert job(params, stage, **wildcards).run() == "made"
    return {p.name: p.read_bytes() for p in (folder / "results").rglob("*.*")}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Everything that two independent runs of both stages wrote."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("first", "second"):
            folder = tmp_path_factory.mktemp(name)
            patch.chdir(folder)
            patch.setenv("MNGAC_CACHE", str(folder / "cache"))
            found.append(drawn(folder, made(folder, METHODS)))
    return found


NAMES = [*FIGURES, *(f"{name}-digits" for name in MODEL_FIGURES)]


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_is_a_png_of_some_size_and_an_svg_that_parses(files, name):
    png = files[0][f"{name}.png"]
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert 500 <= width <= 2000 and 300 <= height <= 2000
    root = ET.fromstring(files[0][f"{name}.svg"])
    assert root.tag.endswith("svg") and len(list(root.iter())) > 30


def test_two_runs_draw_equal_bytes(files):
    assert len(files[0]) == 2 * len(NAMES) + 2
    for name, content in files[0].items():
        assert content == files[1][name], name


def test_no_svg_refers_to_the_network(files):
    for name, content in files[0].items():
        if name.endswith(".svg"):
            links = [v for e in ET.fromstring(content).iter() for k, v in e.attrib.items() if k.endswith("href")]
            assert all(link.startswith(("#", "data:")) for link in links), name


def test_the_curves_for_dvc_plots_have_a_line_an_epoch_and_a_line_a_radius(files):
    training = list(csv.DictReader(files[0]["training_curves.csv"].decode().splitlines()))
    assert [line["epoch"] for line in training] == ["1", "2", "3"]
    assert [line["digits_mng_ac_l1"] for line in training] == ["20.0", "40.0", "60.0"]
    radius = list(csv.DictReader(files[0]["over_radius-digits.csv"].decode().splitlines()))
    assert [line["radius_factor"] for line in radius] == ["0.0", "1.0"]
    assert set(radius[0]) == {"radius_factor", *(f"{m}_{n}" for m in ("nat", "sat", "mng_ac") for n in NORM_LOOKS)} - {
        "nat_clean", "sat_clean", "mng_ac_clean"
    }  # fmt: skip


@pytest.mark.parametrize("methods", [("nat",), ("adv_max",)])
def test_a_run_of_one_method_draws_what_there_is(tmp_path, monkeypatch, methods):
    """adv_max is in no list of figures.methods: the figures of models then say so."""
    monkeypatch.chdir(tmp_path)
    assert len(drawn(tmp_path, made(tmp_path, methods))) == 2 * len(NAMES) + 2


def test_without_any_record_or_log_the_figures_of_records_still_come(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with plt.rc_context(STYLE):
        params = small_params()
        assert motivation.draw(params).get_size_inches()[0] > 3
        assert "No method" in generator.draw(params).axes[0].texts[0].get_text()
    plt.close("all")


# ---------------------------------------------------------------- what they measure


@pytest.fixture
def looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return subjects.load(made(tmp_path, ("nat", "mng_ac")), "digits", "cpu")


def test_robust_accuracy_starts_at_clean_and_never_rises_with_the_radius(looked):
    curves = over_radius.measure(looked)
    for (method, _), values in curves.items():
        clean = looked.classifiers[method](looked.x).argmax(1) == looked.y
        assert values[0] == pytest.approx(100 * clean.float().mean().item())
        assert values == sorted(values, reverse=True)


def test_the_planes_directions_are_orthonormal_even_where_the_attacks_are_parallel():
    x = torch.full((1, 4, 4), 0.5)
    for ends in ([x + 0.1, x - 0.2], [x + torch.eye(4), x + 0.1]):
        first, second = decision_boundary._directions(x, ends)
        assert first.norm().item() == pytest.approx(1) and second.norm().item() == pytest.approx(1)
        assert (first * second).sum().item() == pytest.approx(0, abs=1e-5)


def test_a_plane_holds_the_image_at_its_middle_and_stays_in_the_pixel_range():
    x, steps = torch.rand(1, 4, 4), torch.linspace(-2, 2, 5)
    images = subjects.plane(x, torch.ones_like(x), -torch.ones_like(x), steps, steps)
    assert torch.equal(images[12], x) and images.min() >= 0 and images.max() <= 1
    assert torch.equal(images[3], (x + steps[3] - steps[0]).clamp(0, 1))


def test_the_landscape_at_its_middle_is_the_clean_loss(looked):
    five = replace(looked, params=looked.params.model_copy(update={"surface_grid": 5, "surface_images": 4}))
    values = loss_landscape.surface(five, "nat", "l1")
    clean = torch.nn.functional.cross_entropy(looked.classifiers["nat"](looked.x[:4]), looked.y[:4])
    assert values.shape == (5, 5) and values[2, 2].item() == pytest.approx(clean.item(), rel=1e-4)
    assert values[2, 4] > values[2, 2]


def test_features_are_what_the_last_layer_is_given(looked):
    classifier = looked.classifiers["nat"]
    seen, weights = features.penultimate(classifier, features.last_layer(classifier, 10), looked.x)
    assert torch.allclose(seen, classifier.features(looked.x), atol=1e-5) and weights.shape == (10, 64)
    _, basis = features.template_plane(weights[[1, 3, 8]])
    assert torch.allclose(basis.T @ basis, torch.eye(2), atol=1e-5)
    inside = weights[3] - weights[1]
    assert torch.allclose(basis @ (basis.T @ inside), inside, atol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "count", "chosen"), [([1, 3, 8], 10, [1, 3, 8]), ([8, 1, 3], 6, [1, 3, 0]), ([1, 3, 8], 2, [1, 0])]
)
def test_classes_that_a_data_set_has_not_make_room_for_its_first_ones(wanted, count, chosen):
    assert features.three(wanted, count) == chosen


def noted(values, name="over_gaussian", norms=("linf", "l1", "l2")):
    """Log lines in which each value stands for all norms."""
    return [{"epoch": i + 1, **{f"generator_{name}_{norm}": v for norm in norms}} for i, v in enumerate(values)]


def test_the_generator_is_called_better_only_beyond_two_standard_errors():
    assert "better than" in generator.verdict("m", noted((0, 0, 0, -0.9, -1.0, -1.1)))
    assert "no different" in generator.verdict("m", noted((0, 0, 0, -1.0, 1.0, 0.1)))
    assert "worse than" in generator.verdict("m", noted((0, 0, 0, 0.9, 1.0, 1.1)))
    assert "too few" in generator.verdict("m", noted((0, 0, 0, -1.0)))


def test_norms_have_equal_weight_in_the_verdict_however_often_each_was_drawn():
    """l_inf at -1 in all six late epochs, l_1 at 0.5 in three: -0.25, not -0.5."""
    lines = noted([-1.0] * 12, norms=("linf",))
    for line in lines[6::2]:
        line["generator_over_gaussian_l1"] = 0.5
    assert generator.second_half(lines, "generator_over_gaussian") == (pytest.approx(-0.25), 0)


def test_the_verdict_says_what_a_steepest_ascent_step_would_have_gained():
    lines = [a | b for a, b in zip(noted((0, 0, 0, 0, 0, 0)), noted([-0.06] * 6, "fgsm_over_gaussian"), strict=True)]
    assert "reaches -0.06000" in generator.verdict("m", lines)


def test_the_generators_panels_have_a_line_a_view_and_a_line_a_norm(tmp_path, monkeypatch):
    """Of three epochs, l_inf and l_1 were looked at in the last two."""
    monkeypatch.chdir(tmp_path)
    figure = generator.draw(made(tmp_path, ("nat", "mng_ac")))
    linf, l1, l2, angle, gradient, clamped = figure.axes
    for axis, epochs in ((linf, [2, 3]), (l1, [2, 3]), (l2, [1, 2, 3])):
        assert [list(line.get_xdata()) for line in axis.lines[:3]] == [epochs] * 3
    assert list(angle.lines[0].get_ydata()) == [2, 4, 6]
    assert [len(line.get_xdata()) for line in (*gradient.lines[:3], *clamped.lines)] == [2, 2, 3] * 2
    plt.close("all")


# ---------------------------------------------------------------- what stands on them


def note_of(figure):
    """The footnote as one line."""
    return " ".join(figure._supxlabel.get_text().split())


@pytest.mark.parametrize("module", [motivation, clean_and_union, union_and_cost, components])
def test_footnotes_say_what_the_records_hold_and_not_what_params_do(tmp_path, monkeypatch, module):
    """The records were measured at radius 0.1; the parameters say 0.15, 1.5 and 0.55, and seeds 0 and 1."""
    monkeypatch.chdir(tmp_path)
    params = made(tmp_path, METHODS, seeds=[0, 1])
    note = note_of(module.draw(params))
    assert params.radii_for("standard", "digits").linf == 0.15
    assert "0.1, $" in note and "0.15" not in note and "0.55" not in note
    assert "20 test images" in note and "suite apgd" in note and note.endswith("seed 0.")
    plt.close("all")


@pytest.mark.parametrize("module", [motivation, clean_and_union, union_and_cost, components])
@pytest.mark.parametrize(("what", "change"), [("radii", {}), ("images", {"indices": list(range(1, 21))})])
def test_figures_refuse_records_of_different_radii_or_images(tmp_path, monkeypatch, module, what, change):
    monkeypatch.chdir(tmp_path)
    params = made(tmp_path, METHODS)
    path = next(tmp_path.glob("records/*/mng_ac/*/*.json"))
    content = json.loads(path.read_text()) | change
    content["attacks"][1]["radius"] = "0.1" if change else "0.2"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=f"digits/mng_ac/seed0.* differ in their {what};"):
        module.draw(params)
    plt.close("all")


def test_a_method_that_lacks_a_seed_is_named():
    found = [Row("a", records_of("a", (0, 1))), Row("b", records_of("b", (1,))), Row("c", [])]
    assert seeds(found) == "seeds 0, 1; b only seed 1"
    assert spread(found) == "± standard deviation over seeds, of one seed 95 % intervals over images"
    assert spread(found[1:]) == "95 % intervals over images" and seeds(found[2:]) == "no seed"


def records_of(method, chosen):
    return [Record.model_validate({**record(method, 4, 1.0), "seed": seed}) for seed in chosen]


@pytest.mark.parametrize("count", [1, 3, 14])
def test_the_key_of_the_learning_curves_lies_between_title_and_panels(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    with plt.rc_context(STYLE):
        figure = learning_curves.draw(small_params(methods=sorted(raw_params()["methods"])[:count]))
        figure.draw_without_rendering()
        drawing = figure.canvas.get_renderer()
        first_line = figure._suptitle.get_window_extent(drawing)
        key = figure.legends[0].get_window_extent(drawing)
        titles = [axis.title.get_window_extent(drawing) for axis in figure.axes]
        heading = first_line.y1 - 1.2 * 9.5 / 72 * figure.dpi
        assert key.y1 <= heading and key.y0 >= max(t.y1 for t in titles) - 1
        assert key.x1 <= figure.bbox.x1
    plt.close("all")


def test_text_in_an_svg_is_text(files):
    """So that it can be searched, read aloud and selected."""
    texts = {e.text for e in ET.fromstring(files[0]["generator.svg"]).iter() if e.tag.endswith("}text")}
    assert {"Did the noise generator learn?", "epoch"} <= texts


# ---------------------------------------------------------------- the hand


def luminance(colour):
    """Relative luminance (Rec. 709) of #rrggbb, without gamma: enough to order greys."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


SEEN = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "in grey": ((0.2126, 0.7152, 0.0722),) * 3,
}
"""Linear RGB as it is seen (Machado, Oliveira and Fernandes 2009, severity 1), or printed (luminance)."""
FAR = {"in grey": 10}
"""Least distance in CIE Lab, where it is not 20; 2.3 is what an eye just sees."""


def seen(colour, how):
    """A colour in CIE Lab (D65), as it is seen."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = np.array([p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts])
    rgb = np.clip(np.array(SEEN[how]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    x, y, z = (c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in xyz / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("how", SEEN)
@pytest.mark.parametrize("looks", [tuple(NORM_LOOKS.values()), (*OTHERS, method_looks(["a"], "a")["a"])])
def test_colours_are_told_apart_by_the_colour_blind_and_in_print(looks, how):
    for one, other in itertools.combinations(looks, 2):
        distance = np.linalg.norm(seen(one.colour, how) - seen(other.colour, how))
        assert distance >= FAR.get(how, 20), (one.colour, other.colour, distance)


def test_these_distances_tell_a_bad_pair():
    assert np.linalg.norm(seen("#8c1420", "deuteranopia") - seen("#1b6b34", "deuteranopia")) < 20


def test_lines_differ_in_grey_by_dashes_and_markers():
    for looks in (NORM_LOOKS.values(), OTHERS):
        assert len({look.marker for look in looks}) == len(looks)
    assert len({str(look.dashes) for look in OTHERS}) == len(OTHERS)
    assert luminance(method_looks(["nat", "mng_ac"], "mng_ac")["mng_ac"].colour) < min(
        luminance(o.colour) for o in OTHERS
    )


def test_labels_move_apart_keep_their_order_and_stay_inside():
    moved = apart([50, 50.1, 3, 2, 99.9, 100], 5, 0, 100)
    ordered = sorted(moved)
    assert all(b - a >= 4.9 for a, b in itertools.pairwise(ordered))
    assert min(moved) >= -0.01 and max(moved) <= 100.01
    assert moved[3] < moved[2] < moved[0] < moved[1] < moved[4] < moved[5]
