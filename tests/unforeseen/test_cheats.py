"""Classifiers that answer otherwise where they are asked otherwise: a red flag says so, and nothing is gained by it."""

import functools

import pytest
from corrupted_archives import darkened
from evaluation_helpers import RADII, digits, trained

from benchmarks.cheats import CHEATS
from mngac.params.unforeseen import Unforeseen
from mngac.results.flag_meanings import meaning
from mngac.unforeseen.loop import measure

FEW = 40
"""Images that show the honest classifier, and most cheats."""
SEARCHES = (
    {"attack": "rotation_translation", "degrees": 20, "shift": 0.5, "angles": 3, "shifts": 3},
    {"attack": "affine_linf_l1", "beta": 0.5, "steps": 20, "restarts": 2},
    {"attack": "l0", "pixels": 1, "steps": 10, "queries": 20},
)
INCONSISTENT = ("noise at test time", "labels remembered by index", "otherwise in a batch", "otherwise with gradients")
BEYOND_PROBING = "neighbourhoods remembered"
"""Only held-out images show it: mngac/evaluation/held_out.py."""
MASKED = {("otherwise in a batch", "affine_linf_l1")}
"""Its logits in a batch leave cross-entropy no gradient: the number stays too high, and the flag says so."""


def measured(classifier, *attacks, n=FEW):
    entry = Unforeseen.model_validate({"attacks": [*attacks], "batch_size": 500, "n": None, "seed": 0})
    return measure(classifier, *digits(n), entry, RADII, "digits", 10)


@functools.cache
def honest():
    return measured(trained(), *SEARCHES)


def cheat(name, n=FEW):
    return CHEATS[name].cheat(trained(), *digits(n))


def test_the_honest_classifier_raises_no_flag():
    assert honest().flags == []


@pytest.mark.parametrize("name", sorted(set(CHEATS) - {BEYOND_PROBING}))
def test_a_cheat_that_probing_shows_raises_its_flag(name):
    n = CHEATS[name].n
    found = measured(cheat(name, n), SEARCHES[0], n=n)
    assert any(flag.startswith(CHEATS[name].flag) for flag in found.flags)
    assert all(map(meaning, found.flags))


@pytest.mark.parametrize("name", INCONSISTENT)
def test_an_inconsistent_classifier_gains_nothing_over_the_honest_one(name):
    """Of 40 images one is 2.5 %: random answers may cost a search an image."""
    found = measured(cheat(name), *SEARCHES)
    assert found.clean.count("1") <= honest().clean.count("1")
    for own, other in zip(found.attacks, honest().attacks, strict=True):
        assert (name, own.name) in MASKED or own.share <= other.share + 2.5, own.name


@pytest.mark.parametrize("name", INCONSISTENT)
def test_it_gains_nothing_on_corrupted_images(name, tmp_path):
    darkened(tmp_path / "archive", names=("fog",))
    corruptions = {"attack": "corruptions", "corruptions": ["fog"], "sources": {"digits": str(tmp_path / "archive")}}
    (own,), (other,) = (measured(each, corruptions).attacks for each in (cheat(name), trained()))
    assert own.share <= other.share
