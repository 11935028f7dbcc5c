"""Evaluation's attacks against pyautoattack run by hand, and the one test that every attack's output must pass."""

import random

import foolbox
import numpy as np
import pyautoattack
import pytest
import torch
from evaluation_helpers import ENTRIES, RADII, digits, suite, trained
from torch import nn

from mngac.evaluation.acceptance import Pool, Target, accept, is_correct
from mngac.evaluation.attacks import brendel_bethge, salt_and_pepper
from mngac.evaluation.autoattack import NAMES
from mngac.evaluation.foolbox import perturb
from mngac.evaluation.isolated import isolated
from mngac.evaluation.loop import evaluate
from mngac.evaluation.outcome import Outcome
from mngac.norms import LP
from mngac.params.errors import UserError
from mngac.params.registry import kinds
from mngac.params.types import number

STANDARD = ("apgd_ce", "apgd_t", "fab_t", "square")


def by_hand(model: nn.Module, norm: str, batch_size: int, seed: int = 0, targets: int | None = None) -> list[bool]:
    """Who is right under pyautoattack's standard version, its iterations cut down."""
    x, y = digits()
    attack = pyautoattack.AutoAttack(
        model, norm=NAMES[norm], eps=number(getattr(RADII, norm)), version="standard", seed=seed
    )
    for part in (attack.apgd, attack.apgd_targeted):
        part.n_iter = part.n_iter_orig = 10
    attack.fab.n_iter, attack.square.n_queries = 5, 50
    if targets:
        attack.fab.n_target_classes = attack.apgd_targeted.n_target_classes = targets
    with isolated(0):
        x_adv, _ = attack.run_standard_evaluation(x, y, batch_size=batch_size)
    return is_correct(model(x_adv), y).tolist()


def standard_suite(norm: str, batch_size: int, **changes):
    entries = [{"attack": a, "norm": norm, **ENTRIES[a]} for a in STANDARD]
    if norm == "l1":
        entries[0] |= {"restarts": 5}
        entries[1] |= {"targets": 5}
    base = suite("apgd_ce linf", batch_size=batch_size, **changes)
    return type(base).model_validate({**base.model_dump(exclude={"attacks"}), "attacks": entries})


@pytest.mark.parametrize(("norm", "batch_size"), [("linf", 15), ("l2", 40), ("l1", 15)])
def test_the_standard_version_equals_pyautoattack_by_hand_image_for_image(norm, batch_size):
    x, y = digits()
    ours = evaluate(trained(), x, y, standard_suite(norm, batch_size), RADII)
    theirs = by_hand(trained(), norm, batch_size)
    assert ours.robust(norm) == theirs
    assert 0 < sum(theirs) < sum(c == "1" for c in ours.clean)
    assert not ours.flags


def test_below_ten_classes_it_equals_pyautoattack_with_fewer_targets_and_says_not_standard():
    x, y = digits()
    six = nn.Sequential(trained(), nn.Linear(10, 6, bias=False))
    with torch.no_grad():
        six[1].weight.copy_(torch.eye(6, 10))
    keep = y < 6
    found = evaluate(six.eval(), x[keep], y[keep], standard_suite("linf", 16), RADII)
    assert [f for f in found.flags if "not standard" in f] == [
        "apgd_t linf is not standard: 5 target classes in place of 9",
        "fab_t linf is not standard: 5 target classes in place of 9",
    ]
    assert 0 < sum(found.robust("linf")) < keep.sum()


def test_apgd_t_says_that_it_needs_four_classes():
    x, y = digits()
    three = nn.Sequential(trained(), nn.Linear(10, 3, bias=False))
    with torch.no_grad():
        three[1].weight.copy_(torch.eye(3, 10))
    with pytest.raises(UserError, match="apgd_t needs at least 4 classes, found 3"):
        evaluate(three.eval(), x[y < 3], y[y < 3], suite("apgd_t linf"), RADII)


def test_every_attack_has_short_settings_here():
    assert sorted(ENTRIES) == kinds("evaluation/attacks")


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - {"brendel_bethge"}))
def test_every_attack_stays_in_its_ball_and_leaves_the_weights_without_gradients(name):
    norm = {"pgd_l1": "l1", "carlini_wagner": "l2", "gaussian_noise": "l2", "ead": "l1", "salt_and_pepper": "l1"}
    x, y = digits()
    model = trained()
    found = evaluate(model, x, y, suite(f"{name} {norm.get(name, 'linf')}"), RADII)
    assert found.attacks[0].rejected == 0
    assert found.attacks[0].forwards > 0
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_the_global_generators_are_left_as_found():
    x, y = digits()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    evaluate(trained(), x, y, suite("apgd_ce linf", "square linf", "gaussian_noise l2"), RADII)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


@pytest.mark.parametrize("name", ["carlini_wagner l2", "ead l1"])
def test_an_image_does_not_depend_on_its_batch_where_foolbox_would_abort_early(name):
    x, y = digits()
    together = evaluate(trained(), x, y, suite(name, batch_size=40), RADII)
    apart = evaluate(trained(), x, y, suite(name, batch_size=3), RADII)
    assert together.attacks[0].correct == apart.attacks[0].correct


def linear_target(norm: str, radius: float) -> tuple[nn.Module, Target]:
    """Class 1 above a mean of one half, class 0 below."""

    class Mean(nn.Module):
        def forward(self, x):
            score = x.flatten(1).mean(1) - 0.5
            return torch.stack([-score, score], 1)

    return Mean(), Target(norm, radius, 2, 0, "cpu")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda x: x, Outcome.HELD),
        (lambda x: x + 0.2, Outcome.BROKEN),
        (lambda x: x + 0.3, Outcome.REJECTED),
        (lambda x: x.where(x < 0, torch.tensor(torch.nan)), Outcome.REJECTED),
        (lambda x: torch.full_like(x, torch.inf), Outcome.REJECTED),
        (lambda x: x - 0.2, Outcome.HELD),
        (lambda x: torch.zeros_like(x), Outcome.HELD),
    ],
    ids=["same", "adversarial", "too far", "nan", "inf", "still right", "all zero"],
)
def test_acceptance_counts_only_valid_misclassified_images(change, outcome):
    model, target = linear_target("linf", 0.2)
    x, y = torch.full((3, 1, 2, 2), 0.4), torch.zeros(3, dtype=torch.int64)
    assert accept(model, x, y, change(x), target) == [outcome] * 3


def test_acceptance_refuses_pixels_outside_the_range():
    model, target = linear_target("linf", 0.2)
    x, y = torch.full((1, 1, 2, 2), 0.95), torch.zeros(1, dtype=torch.int64)
    assert accept(model, x, y, x + 0.1, target) == [Outcome.REJECTED]


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_acceptance_allows_the_radius_within_one_part_in_ten_thousand(norm):
    model, _ = linear_target(norm, 1.0)
    x, y = torch.full((1, 1, 2, 2), 0.45), torch.zeros(1, dtype=torch.int64)
    size = LP[norm].size(torch.full((1, 1, 2, 2), 0.2)).item()
    for factor, outcome in ((1 + 5e-5, Outcome.BROKEN), (1 + 5e-4, Outcome.REJECTED)):
        target = Target(norm, size / factor, 2, 0, "cpu")
        assert accept(model, x, y, x + 0.2, target) == [outcome]


def test_acceptance_refuses_another_shape():
    model, target = linear_target("linf", 0.2)
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\) for images \(2, 1, 2, 2\)"):
        accept(model, torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64), torch.zeros(1, 1, 2, 2), target)


def test_correct_is_finite_and_strictly_above_all_others():
    logits = torch.tensor([[1.0, 0.0], [0.0, 0.0], [torch.nan, 0.0], [torch.inf, 0.0], [0.0, 1.0]])
    assert is_correct(logits, torch.zeros(5, dtype=torch.int64)).tolist() == [True, False, False, False, False]


def test_salt_and_pepper_that_counts_lies_in_the_l1_ball_and_foolboxs_own_lies_beyond():
    x, y = digits()
    model, target = trained(), Target("l1", number(RADII.l1), 10, 0, "cpu")
    settings = suite("salt_and_pepper l1").attacks[0]
    with isolated(0):
        ours = salt_and_pepper.attack(model, x, y, target, settings)
        stock = perturb(foolbox.attacks.SaltAndPepperNoiseAttack(steps=settings.steps), "l1", model, x, y, target)
    wrong = is_correct(model(x), y) & ~is_correct(model(ours), y)
    outcomes = accept(model, x, y, ours, target)
    assert wrong.any() and all(o is Outcome.BROKEN for o, w in zip(outcomes, wrong, strict=True) if w)
    assert (LP["l1"].size(ours - x) <= target.radius * 1.0001).all()
    assert (LP["l1"].size(stock - x) > 2 * target.radius).any()
    assert Outcome.REJECTED in accept(model, x, y, stock, target)


def test_starting_points_are_the_nearest_images_of_another_class():
    model, _ = linear_target("linf", 0.2)
    levels = torch.tensor([0.1, 0.4, 0.6, 0.9]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    predictions = model(levels).argmax(1)
    target = Target("l2", 0.2, 2, 0, "cpu", Pool(levels, predictions))
    points = brendel_bethge.starting_points(model, levels[:2], predictions[:2], target)
    assert points.flatten(1)[:, 0].tolist() == pytest.approx([0.6, 0.6])
    alone = Target("l2", 0.2, 2, 0, "cpu", Pool(levels[:2], predictions[:2]))
    with pytest.raises(ValueError, match="nowhere to start from"):
        brendel_bethge.starting_points(model, levels[:2], predictions[:2], alone)
