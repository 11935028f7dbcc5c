"""Planted cheats: a careless evaluation overstates each, and the evaluation itself names what gave it away."""

import functools

import pytest
import torch
from evaluation_helpers import RADII, digits, trained

from benchmarks.cheats import CHEATS, careless, share
from mngac.evaluation.held_out import remembered
from mngac.evaluation.loop import evaluate
from mngac.evaluation.probes import probe
from mngac.models.files import Architecture
from mngac.params.sections import Suite
from mngac.results.flag_meanings import meaning

ENTRIES = [
    entry
    for norm in ("linf", "l2", "l1")
    for entry in (
        {"attack": "batched_apgd_ce", "norm": norm, "steps": 20, "restarts": 4 if norm == "l1" else 1},
        {"attack": "batched_apgd_t", "norm": norm, "steps": 20, "targets": 5},
    )
]
SUITE = Suite.model_validate({"attacks": ENTRIES, "batch_size": 500, "n": None, "seed": 0})
"""The suite quick, but for fewer starts in l_1."""
MASKED = ("rounding of the logits", "a detached branch", "a dead softmax", "last bits thrown away")
"""Cheats that leave gradient attacks nothing to go by: their numbers stay too high, and the flag says so."""
BEYOND_ATTACKS = "neighbourhoods remembered"
"""A cheat that is robust on the images that it remembers: only other images can tell."""


FEW = 60
"""Images that show the honest classifier."""


@functools.cache
def honest(n):
    return evaluate(trained(), *digits(n), SUITE, RADII)


def cheat(name):
    return CHEATS[name].cheat(trained(), *digits(CHEATS[name].n))


@functools.cache
def reported(name):
    return evaluate(cheat(name), *digits(CHEATS[name].n), SUITE, RADII)


def held_out_flags(classifier):
    x, y = digits(2 * FEW)
    return remembered(classifier, (x[:FEW], y[:FEW]), (x[FEW:], y[FEW:]), SUITE, RADII)


def flags_of(name):
    """All flags of a cheat: those of held-out images too where no others can tell."""
    return reported(name).flags + (held_out_flags(cheat(name)) if name == BEYOND_ATTACKS else [])


def test_the_honest_classifier_raises_no_flag_and_a_careless_evaluation_of_it_is_right_to_five_points():
    assert honest(FEW).flags == [] and held_out_flags(trained()) == []
    first = careless(trained(), *digits(FEW), RADII)
    assert 0 <= share(first["union"]) - honest(FEW).share("union") <= 5


@pytest.mark.parametrize("name", CHEATS)
def test_a_careless_evaluation_overstates(name):
    column, n = CHEATS[name].column, CHEATS[name].n
    first = careless(cheat(name), *digits(n), RADII)
    truth = min(honest(n).share(column), reported(name).share(column))
    assert share(first[column]) > truth + 5


@pytest.mark.parametrize("name", CHEATS)
def test_a_flag_names_what_gave_it_away(name):
    flags = flags_of(name)
    assert any(flag.startswith(CHEATS[name].flag) for flag in flags), flags


@pytest.mark.parametrize("name", sorted(set(CHEATS) - {*MASKED, BEYOND_ATTACKS}))
def test_the_reported_union_is_not_above_the_honest_classifiers(name):
    """Two points are one image, and rounding: an attack on another loss takes another path."""
    assert reported(name).share("union") <= honest(CHEATS[name].n).share("union") + 2


@pytest.mark.parametrize(
    ("model", "channels", "size", "n"),
    [
        ("wrn_10_1", 1, 8, 32),
        ("wrn_16_2", 3, 16, 12),
        ("preact_resnet_18", 3, 16, 6),
        pytest.param("resnet_50", 3, 16, 6, marks=pytest.mark.slow),
    ],
)
def test_networks_that_nobody_trained_raise_no_flag(model, channels, size, n):
    torch.manual_seed(0)
    network = Architecture(model, 10, channels, size).build().eval()
    x = torch.rand(n, channels, size, size)
    with torch.no_grad():
        y = network(x).argmax(1)
    assert probe(network, x, y) == ([], True)


@pytest.mark.parametrize("name", CHEATS)
def test_every_flag_says_what_it_means(name):
    assert flags_of(name) and all(map(meaning, flags_of(name)))
