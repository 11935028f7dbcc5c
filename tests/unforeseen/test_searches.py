"""Searches on classifiers whose worst case is known; and what the acceptance makes of a search that lies."""

import itertools

import numpy as np
import pytest
import torch
from evaluation_helpers import RADII, digits, trained
from helpers import Linear
from scipy.optimize import linprog
from torch import nn

from mngac.attacks.affine import Mix, mixed, steepest, within
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.tasks import Runner
from mngac.params.sections import Radii
from mngac.params.unforeseen import Unforeseen, UnforeseenAttack
from mngac.unforeseen.attacks import affine_linf_l1, l0, rotation_translation
from mngac.unforeseen.attacks.rotation_translation import moved
from mngac.unforeseen.base import About
from mngac.unforeseen.search import accept

SETTINGS = {
    "l0": {"pixels": 2, "steps": 20, "queries": 50},
    "rotation_translation": {"degrees": 20, "shift": 1, "angles": 5, "shifts": 3},
    "affine_linf_l1": {"beta": 0.5, "steps": 20, "restarts": 2},
}
KINDS = {"l0": l0, "rotation_translation": rotation_translation, "affine_linf_l1": affine_linf_l1}


def made(kind, shape=(1, 8, 8), radii=RADII, classes=10, **changes):
    """An attack of short settings."""
    config = UnforeseenAttack.model_validate({"attack": kind, **SETTINGS[kind], **changes})
    entry = Unforeseen(attacks=[config], batch_size=16, n=None, seed=0)
    return KINDS[kind].Attack(config, About("digits", shape, classes, radii, entry))


def outcomes(attack, classifier, x, y):
    """What becomes of each image, each of which is attacked."""
    for weight in classifier.parameters():
        weight.requires_grad_(False)
    return attack.outcomes("worst case", list(range(len(x))), Runner(classifier, x, y, 0, "cpu"))[0]


class Offset(nn.Module):
    """Logits (score - offset, offset - score) with score = <w, x>: of the first class while the score is above it."""

    def __init__(self, weight, offset):
        super().__init__()
        self.inner, self.offset = Linear(weight), offset

    def forward(self, x):
        return self.inner(x) - torch.tensor([self.offset, -self.offset])


def weights(shape, seed=0):
    """Weights of distinct sizes and both signs, one of them the largest by far."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def grey(*shape):
    return torch.full(shape, 0.5)


FIRST = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("pixels", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_l0_breaks_a_linear_classifier_just_where_so_many_pixels_can(channels, pixels):
    """On grey images a pixel moves the score by at most half the sum of its weights' sizes."""
    w = weights((channels, 4, 4))
    x, score = grey(1, channels, 4, 4), 0.5 * w.sum().item()
    most = 0.5 * w.abs().sum(0).flatten().sort(descending=True).values[:pixels].sum().item()
    attack = made("l0", (channels, 4, 4), classes=2, pixels=pixels, steps=100, queries=1000)
    assert outcomes(attack, Offset(w, score - 0.97 * most), x, FIRST) == [Outcome.BROKEN]
    assert outcomes(attack, Offset(w, score - 1.01 * most), x, FIRST) == [Outcome.HELD]


def test_l0_finds_nearly_all_single_pixels_that_trying_every_one_finds():
    x, y = digits(60)
    model = trained()
    with torch.no_grad():
        right = model(x).argmax(1) == y
        x, y = x[right], y[right]
        every = torch.zeros(len(x), dtype=torch.bool)
        for pixel, value in itertools.product(range(64), (0.0, 1.0)):
            tried = x.flatten(1).clone()
            tried[:, pixel] = value
            every |= model(tried.view_as(x)).argmax(1) != y
    found = outcomes(made("l0", pixels=1, steps=100, queries=400), model, x, y)
    broken = torch.tensor([one is Outcome.BROKEN for one in found])
    assert every.sum() >= 10
    assert (broken & every).sum() >= 0.9 * every.sum()


def test_the_affine_mix_breaks_a_linear_classifier_just_where_a_mix_can():
    """Away from the box's sides the score falls by at most beta eps_inf |w|_1 + (1 - beta) eps_1 |w|_inf."""
    w, x, radii = weights((1, 4, 4)), grey(1, 1, 4, 4), Radii(linf=0.1, l1=0.4, l2=1.0)
    score = 0.5 * w.sum().item()
    for beta in (0.25, 0.5, 0.75):
        mix = Mix.of(0.1, 0.4, beta)
        most = mix.most(w[None]).item()
        assert most == pytest.approx(beta * 0.1 * w.abs().sum().item() + (1 - beta) * 0.4 * w.abs().max().item())
        attack = made("affine_linf_l1", (1, 4, 4), radii=radii, classes=2, beta=beta, steps=100)
        assert outcomes(attack, Offset(w, score - 0.99 * most), x, FIRST) == [Outcome.BROKEN]
        assert outcomes(attack, Offset(w, score - 1.01 * most), x, FIRST) == [Outcome.HELD]


def test_the_steepest_mix_at_the_boxs_side_is_what_a_linear_program_finds():
    """max <w, a + b>, |a| <= eps_inf, |b|_1 <= eps_1, x + a + b in [0, 1]: solved by scipy, with b split by sign."""
    x = torch.rand(5, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mix = Mix(0.2, 0.9)
    parts = steepest(x, w, mix)
    assert (parts["l1"].abs().flatten(1).sum(1) <= mix.l1 + 1e-12).all() and parts["linf"].abs().max() <= mix.linf
    total = parts["linf"] + parts["l1"]
    assert ((x + total >= -1e-12) & (x + total <= 1 + 1e-12)).all()
    for image, weight, reached in zip(x, w, (total * w).flatten(1).sum(1), strict=True):
        box, slope, one = image.flatten().numpy(), weight.flatten().numpy(), np.eye(9)
        sums = np.hstack([one, one, -one])
        rows = np.vstack([sums, -sums, np.hstack([np.zeros(9), np.ones(18)])])
        bounds = [(-mix.linf, mix.linf)] * 9 + [(0, None)] * 18
        solved = linprog(-slope @ sums, rows, np.concatenate([1 - box, box, [mix.l1]]), bounds=bounds)
        assert reached.item() == pytest.approx(-solved.fun, rel=1e-9)


def test_neither_ball_of_the_mix_breaks_by_itself_what_both_break():
    """So the attack does add its parts: each alone, at its share of the radius, leaves the image as it was."""
    w, x, radii = weights((1, 4, 4)), grey(1, 1, 4, 4), Radii(linf=0.1, l1=0.4, l2=1.0)
    mix, score = Mix.of(0.1, 0.4, 0.5), 0.5 * w.sum().item()
    alone = max(Mix(mix.linf, 0.0).most(w[None]).item(), Mix(0.0, mix.l1).most(w[None]).item())
    both = mix.most(w[None]).item()
    assert alone < 0.9 * both
    attack = made("affine_linf_l1", (1, 4, 4), radii=radii, classes=2, steps=100)
    assert outcomes(attack, Offset(w, score - 0.95 * both), x, FIRST) == [Outcome.BROKEN]


def test_parts_of_the_mix_stay_in_their_balls_and_their_sum_in_the_box():
    x, y = digits(20)
    attack = made("affine_linf_l1", steps=40)
    parts = attack.search(trained(), x, y)
    assert attack.within(x, parts).all() and within(parts, attack.mix, 1e-5).all()
    assert ((x + parts.sum(1) - mixed(x, parts)).abs() < 1e-6).all()
    assert (parts.flatten(2).abs().amax(2) > 0).all(), "both parts are used"


class Mass(nn.Module):
    """Of the first class where the pixels' sum is above 1: what moves within the image changes no sum."""

    def forward(self, x):
        above = x.flatten(1).sum(1) - 1
        return torch.stack([above, -above], 1)


def test_a_classifier_that_no_motion_changes_is_not_broken_by_motions():
    x = torch.zeros(3, 1, 9, 9)
    x[:, :, 3:6, 3:6] = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5
    attack = made("rotation_translation", (1, 9, 9), classes=2, degrees=180, angles=9, shift=1)
    assert outcomes(attack, Mass(), x, torch.zeros(3, dtype=torch.int64)) == [Outcome.HELD] * 3


class Corner(nn.Module):
    """Of the second class where the top left pixel is bright."""

    def forward(self, x):
        bright = x[:, 0, 0, 0] - 0.5
        return torch.stack([-bright, bright], 1)


@pytest.mark.parametrize(("degrees", "broken"), [(80, False), (90, True)])
def test_a_rotation_breaks_what_looks_at_one_corner_just_where_the_budget_reaches_it(degrees, broken):
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 0, 4] = 1.0
    attack = made("rotation_translation", (1, 5, 5), classes=2, degrees=degrees, shift=0, angles=3, shifts=1)
    assert outcomes(attack, Corner(), x, FIRST) == [Outcome.BROKEN if broken else Outcome.HELD]


@pytest.mark.parametrize(("shift", "broken"), [(3, False), (4, True)])
def test_a_translation_breaks_it_just_where_the_budget_reaches_it(shift, broken):
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 0, 4] = 1.0
    attack = made("rotation_translation", (1, 5, 5), classes=2, degrees=0, shift=shift, angles=1, shifts=3)
    assert outcomes(attack, Corner(), x, FIRST) == [Outcome.BROKEN if broken else Outcome.HELD]


def test_whole_motions_are_what_they_are_without_interpolation():
    x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    quarter = moved(x, torch.tensor([[90.0, 0.0, 0.0]]).expand(2, 3))
    torch.testing.assert_close(quarter, torch.rot90(x, 1, (2, 3)), rtol=0, atol=1e-5)
    right = moved(x, torch.tensor([[0.0, 2.0, 0.0]]).expand(2, 3))
    torch.testing.assert_close(right[..., 2:], x[..., :-2], rtol=0, atol=1e-5)
    assert right[..., :2].abs().max() < 1e-5
    down = moved(x, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3))
    torch.testing.assert_close(down[..., 1:, :], x[..., :-1, :], rtol=0, atol=1e-5)
    wide = torch.rand(1, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        moved(wide, torch.tensor([[180.0, 0.0, 0.0]])), torch.rot90(wide, 2, (2, 3)), rtol=0, atol=1e-5
    )


def lies(kind):
    """Witnesses for a grey image of the first class that are adversarial, but not valid."""
    x = grey(1, 1, 4, 4)
    far = torch.zeros(1, 2, 1, 4, 4)
    far[0, 0] = -0.5
    return {
        "l0": [
            torch.zeros(1, 1, 4, 4),
            x - 0.6 * (torch.arange(16) < 1).view(1, 1, 4, 4),
            torch.full_like(x, torch.nan),
        ],
        "rotation_translation": [torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[torch.inf, 0.0, 0.0]])],
        "affine_linf_l1": [far, far.flip(1), torch.full_like(far, -torch.inf)],
    }[kind]


class Above(nn.Module):
    """Of the first class while the sum is as large as a grey image's."""

    def forward(self, x):
        above = x.flatten(1).sum(1) - 7.99
        return torch.stack([above, -above], 1)


@pytest.mark.parametrize(("kind", "which"), [(kind, i) for kind in KINDS for i in range(len(lies(kind)))])
def test_what_is_outside_the_budget_is_rejected_whatever_the_search_says(kind, which):
    attack = made(kind, (1, 4, 4), classes=2)
    assert accept(attack, Above(), grey(1, 1, 4, 4), FIRST, lies(kind)[which]) == [Outcome.REJECTED]


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_trained_classifier_each_breaks_some_and_leaves_some_and_repeats(kind):
    x, y = digits(40)
    model = trained()
    with torch.no_grad():
        right = model(x).argmax(1) == y
    settings = {"rotation_translation": {"degrees": 10, "shift": 0.25}, "l0": {"pixels": 1}}.get(kind, {})
    found = outcomes(made(kind, **settings), model, x[right], y[right])
    assert {Outcome.BROKEN, Outcome.HELD} == set(found)
    assert outcomes(made(kind, **settings), model, x[right], y[right]) == found


def test_budgets_are_said_with_units():
    assert made("l0").budget == "2 pixels" and made("l0", pixels=1).budget == "1 pixel"
    assert made("rotation_translation").budget == "20 degrees, 1 pixel"
    radii = Radii(linf="8/255", l1=12, l2=0.5)
    assert made("affine_linf_l1", radii=radii, beta=0.25).budget == "0.25 of l_inf 8/255 + 0.75 of l_1 12.0"
