"""Other classifiers' adversarial images on one that says several things: it gains nothing by it."""

import pytest
import torch
from evaluation_helpers import RADII, digits, trained
from torch.nn import functional as F

from benchmarks.cheats import CHEATS
from mngac.evaluation.transfer import transferred

N = 40


def moved():
    """The honest classifier's images after a step along its gradient's signs."""
    x, y = digits(N)
    x = x.clone().requires_grad_()
    F.cross_entropy(trained()(x), y).backward()
    return (x + RADII.linf * x.grad.sign()).detach().clamp(0, 1)


def tried(classifier):
    """The column of these images."""
    x, y = digits(N)
    (found,), _ = transferred(classifier, x, y, RADII, [True] * N, {"twin": {"linf": moved()}})
    return found.correct


@pytest.mark.parametrize("name", ["otherwise in a batch", "otherwise with gradients"])
def test_who_answers_in_several_ways_is_broken_where_the_honest_classifier_is(name):
    x, y = digits(N)
    cheat = CHEATS[name].cheat(trained(), x, y)
    honest, shown = tried(trained()), moved()
    with torch.no_grad():
        plain = (cheat(shown).argmax(1) == y).tolist()
    assert "0" in honest and all(plain)
    assert tried(cheat) == honest
