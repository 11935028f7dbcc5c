"""The passes of an evaluation attack: exact for a classifier that nobody breaks, a bound for any other."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mngac.evaluation.loop import evaluate
from mngac.params.registry import kinds
from mngac.params.sections import AttackConfig, Suite
from mngac.planning.attacks import ATTACKS, at_most

CLASSES, IMAGES, BATCH = 10, 6, 4
PROBED = 4 * BATCH
"""Gradients to the images of the first batch, before any attack (mngac/evaluation/gradients.py)."""
KEYS = {
    "batched_apgd_ce": {"steps": 7, "restarts": 3},
    "batched_apgd_t": {"steps": 7, "targets": 4},
    "apgd_ce": {"steps": 9, "restarts": 2},
    "apgd_t": {"steps": 9, "restarts": 1, "targets": 20},
    "fab_t": {"steps": 6, "restarts": 2, "targets": 3},
    "square": {"queries": 40, "restarts": 2},
    "pgd": {"steps": 12, "step_size": "1/4"},
    "pgd_l1": {"steps": 12, "step_size": "1/4", "top_share": 0.1},
    "gaussian_noise": {"repeats": 11},
    "salt_and_pepper": {"steps": 13},
    "carlini_wagner": {"binary_search_steps": 2, "steps": 7},
    "ead": {"binary_search_steps": 2, "steps": 7},
    "brendel_bethge": {"steps": 9},
}
MADE_FOR = {
    "pgd": ("linf", "l2"),
    "pgd_l1": ("l1",),
    "gaussian_noise": ("l2",),
    "salt_and_pepper": ("l1",),
    "carlini_wagner": ("l2",),
    "ead": ("l1",),
    "brendel_bethge": ("l2",),  # compiled for half a minute a norm
}
COMPILED = ("brendel_bethge",)
CASES = [
    pytest.param(name, norm, marks=[pytest.mark.slow] if name in COMPILED else [])
    for name in KEYS
    for norm in MADE_FOR.get(name, ("linf", "l1", "l2"))
]


class Counting(nn.Module):
    """Tells dark images from bright ones, by a wide margin or by a narrow one; counts gradients to images."""

    def __init__(self, margin):
        super().__init__()
        self.margin, self.gradients = margin, 0

    def forward(self, x):
        if x.requires_grad:
            x.register_hook(self._back)
        mean = x.flatten(1).mean(1)
        rest = torch.stack([0.01 * k * mean for k in range(CLASSES - 2)], 1)
        wide = 10 * F.one_hot((mean.detach() > 0.5).long(), CLASSES) * self.margin
        narrow = torch.cat([torch.stack([0.5 - mean, mean - 0.5], 1), rest - 1], 1)
        return narrow + wide

    def _back(self, gradient):
        self.gradients += len(gradient)


def images():
    """Three dark images and three bright ones, and their labels."""
    dark = 0.1 * torch.rand(IMAGES, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0] * 3 + [1] * 3)
    return dark + 0.9 * labels.view(-1, 1, 1, 1), labels


def evaluated(name, norm, margin, radius):
    """The classifier, the attack's record, and what was foretold of it."""
    suite = Suite(attacks=[{"attack": name, "norm": norm, **KEYS[name]}], batch_size=BATCH, n=None, seed=0)
    classifier = Counting(margin).eval()
    found = evaluate(classifier, *images(), suite, {"linf": radius, "l1": 10 * radius, "l2": radius})
    return classifier, found.attacks[0], at_most(suite.attacks[0], CLASSES)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_an_attack_that_breaks_nothing_takes_just_the_passes_foretold(name, norm):
    classifier, record, foretold = evaluated(name, norm, margin=1, radius=0.001)
    assert record.correct == "1" * IMAGES
    assert record.forwards == IMAGES * foretold.forward
    assert classifier.gradients - PROBED == IMAGES * foretold.backward


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_an_attack_that_breaks_images_takes_no_more(name, norm):
    _, record, foretold = evaluated(name, norm, margin=0, radius=0.6)
    assert 0 < record.forwards <= IMAGES * foretold.forward


def test_some_attacks_of_these_tests_do_break_images():
    broken = [
        name for name in ("apgd_ce", "batched_apgd_t", "pgd") if "0" in evaluated(name, "linf", 0, 0.6)[1].correct
    ]
    assert broken == ["apgd_ce", "batched_apgd_t", "pgd"]


@pytest.mark.parametrize("name", ["batched_apgd_ce", "apgd_ce"])
@pytest.mark.parametrize("steps", [2, 3, 5, 10])
def test_short_attacks_in_several_balls_are_foretold_too(monkeypatch, name, steps):
    monkeypatch.setitem(KEYS, name, {"steps": steps, "restarts": 1})
    classifier, record, foretold = evaluated(name, "l1", margin=1, radius=0.001)
    assert record.forwards == IMAGES * foretold.forward
    assert classifier.gradients - PROBED == IMAGES * foretold.backward


def test_every_attack_is_foretold():
    assert set(ATTACKS) == set(kinds("evaluation/attacks")) == set(KEYS)


def test_of_ones_own_attack_nothing_is_guessed():
    assert at_most(AttackConfig(attack="mine.attacks:attack", norm="linf"), CLASSES) is None
