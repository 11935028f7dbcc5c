"""Figures: every file is drawn, says its n and seed, repeats byte for byte, and survives what is missing."""

import csv
import itertools
import struct
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch
from helpers import small_params
from results_workspace import made

from mngac.figures import decision_boundary, features, generator, loss_landscape, motivation, over_radius, subjects
from mngac.figures.style import NORM_LOOKS, OTHERS, STYLE, apart, method_looks
from mngac.jobs import job
from mngac.paths import FIGURES, MODEL_FIGURES

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
    five = replace(looked, settings=looked.settings.model_copy(update={"surface_grid": 5, "surface_images": 4}))
    values = loss_landscape.surface(five, "nat", "l1")
    clean = torch.nn.functional.cross_entropy(looked.classifiers["nat"](looked.x[:4]), looked.y[:4])
    assert values.shape == (5, 5) and values[2, 2].item() == pytest.approx(clean.item(), rel=1e-4)
    assert values[2, 4] > values[2, 2]


def test_features_are_what_the_last_layer_is_given(looked):
    classifier = looked.classifiers["nat"]
    seen, weights = features.penultimate(classifier, looked.x)
    assert torch.allclose(seen, classifier.features(looked.x), atol=1e-5) and weights.shape == (10, 64)
    _, basis = features.template_plane(weights[[1, 3, 8]])
    assert torch.allclose(basis.T @ basis, torch.eye(2), atol=1e-5)
    inside = weights[3] - weights[1]
    assert torch.allclose(basis @ (basis.T @ inside), inside, atol=1e-5)


def test_the_generator_is_called_better_only_beyond_two_standard_errors():
    key = "generator_meta_loss_over_gaussian"
    assert "better than" in generator.verdict("m", [{key: v} for v in (0, 0, 0, -0.9, -1.0, -1.1)])
    assert "no different" in generator.verdict("m", [{key: v} for v in (0, 0, 0, -1.0, 1.0, 0.1)])
    assert "worse than" in generator.verdict("m", [{key: v} for v in (0, 0, 0, 0.9, 1.0, 1.1)])


# ---------------------------------------------------------------- the hand


def luminance(colour):
    """Relative luminance (Rec. 709) of #rrggbb, without gamma: enough to order greys."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_lines_differ_in_grey_by_dashes_and_markers():
    for looks in (NORM_LOOKS.values(), OTHERS):
        assert len({look.marker for look in looks}) == len(looks)
    assert len({str(look.dashes) for look in OTHERS}) == len(OTHERS)
    assert luminance(method_looks(["nat", "mng_ac"])["mng_ac"].colour) < min(luminance(o.colour) for o in OTHERS)


def test_labels_move_apart_keep_their_order_and_stay_inside():
    moved = apart([50, 50.1, 3, 2, 99.9, 100], 5, 0, 100)
    ordered = sorted(moved)
    assert all(b - a >= 4.9 for a, b in itertools.pairwise(ordered))
    assert min(moved) >= -0.01 and max(moved) <= 100.01
    assert moved[3] < moved[2] < moved[0] < moved[1] < moved[4] < moved[5]
