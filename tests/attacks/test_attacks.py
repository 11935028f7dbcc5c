"""Attacks: closed-form optima on a linear classifier, brute force for MSD, balls and pixel range for all."""

import pytest
import torch
from helpers import Linear, attacks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mngac.attacks.msd import msd
from mngac.attacks.pgd import Attack, pgd
from mngac.norms import LP

ROUNDING = 6e-8


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(size: int = 4) -> Linear:
    return Linear(torch.randn(1, size, size, generator=generator(7)))


def small_net(channels: int = 1, classes: int = 4) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))


@pytest.mark.parametrize("name", sorted(LP))
def test_pgd_on_a_linear_model_reaches_the_closed_form_optimum(name):
    """Away from the pixel bounds the best perturbation lowers the margin by radius times the dual norm of w."""
    classifier = linear()
    x = torch.full((2, 1, 4, 4), 0.5)
    y = torch.tensor([0, 1])
    dual = {"linf": 1, "l1": torch.inf, "l2": 2}[name]
    radius = 0.2
    attack = Attack(name, radius, radius / 4, 60, 1)
    with torch.no_grad():
        moved = classifier(pgd(classifier, x, y, attack, generator())) - classifier(x)
    drop = -moved.gather(1, y[:, None])[:, 0]
    best = radius * classifier.weight.detach().flatten().norm(dual)
    torch.testing.assert_close(drop, best.expand(2), rtol=2e-3, atol=0)
    assert (drop <= best * (1 + 1e-5)).all()


@pytest.mark.parametrize("name", ["linf", "l2"])
def test_pgd_at_the_pixel_bounds_is_optimal_among_images(name):
    """Only pixels with room may move. In l_2, projection before clipping gives up 0.3 % of the length."""
    weight = torch.ones(1, 2, 2)
    x = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    radius = 0.3
    x_adv = pgd(Linear(weight), x, torch.tensor([0]), Attack(name, radius, radius / 4, 60), generator())
    assert (x_adv[0, 0, 1] < 1e-6).all()
    lowered = {"linf": radius, "l2": radius / 2**0.5}[name]
    torch.testing.assert_close(x_adv[0, 0, 0], torch.full((2,), 1 - lowered), rtol=5e-3, atol=0)


@given(
    name=st.sampled_from(sorted(LP)),
    seed=st.integers(0, 1000),
    radius=st.floats(0.01, 3),
    steps=st.integers(1, 6),
    channels=st.sampled_from([1, 3]),
)
@settings(max_examples=40, deadline=None)
def test_pgd_stays_in_ball_and_pixel_range(name, seed, radius, steps, channels):
    x = torch.rand(3, channels, 5, 5, generator=generator(seed))
    y = torch.arange(3)
    x_adv = pgd(small_net(channels), x, y, Attack(name, radius, radius, steps, 4), generator(seed))
    assert ((x_adv >= 0) & (x_adv <= 1)).all() and not x_adv.requires_grad
    assert (LP[name].size(x_adv - x) <= radius * (1 + 1e-5) + ROUNDING * x[0].numel()).all()


@given(seed=st.integers(0, 1000), radius=st.floats(0.05, 2))
@settings(max_examples=25, deadline=None)
def test_msd_stays_in_the_union_of_the_balls(seed, radius):
    x = torch.rand(3, 1, 5, 5, generator=generator(seed))
    balls = [Attack(p, radius, radius / 3, 4, 3) for p in LP]
    x_adv = msd(small_net(), x, torch.arange(3), balls)
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    slack = radius * (1 + 1e-5) + ROUNDING * x[0].numel()
    inside = torch.stack([ball.lp.size(x_adv - x) <= slack for ball in balls])
    assert inside.any(0).all()


def test_attacks_leave_no_gradient_on_the_weights():
    classifier = small_net()
    x, y = torch.rand(3, 1, 5, 5), torch.arange(3)
    pgd(classifier, x, y, attacks()["l2"], generator())
    msd(classifier, x, y, list(attacks().values()))
    assert all(weight.grad is None for weight in classifier.parameters())


def test_pgd_of_an_image_does_not_depend_on_its_batch():
    classifier, x, y = small_net(), torch.rand(4, 1, 5, 5, generator=generator(2)), torch.arange(4)
    from mngac.attacks.pgd import ascend

    for attack in attacks().values():
        whole = ascend(classifier, x, y, torch.zeros_like(x), attack)
        alone = torch.cat(
            [ascend(classifier, x[i : i + 1], y[i : i + 1], torch.zeros(1, 1, 5, 5), attack) for i in range(4)]
        )
        torch.testing.assert_close(whole, alone, rtol=0, atol=1e-6)


def brute_force_msd(classifier, x, y, balls):
    """Maini et al. 2020, algorithm 1, one image and one candidate at a time."""
    results = []
    for image, label in zip(x, y, strict=True):
        delta = torch.zeros_like(image)
        best, best_loss = delta, -float("inf")
        for _ in range(max(b.steps for b in balls)):
            at = (image + delta).clone().requires_grad_()
            F.cross_entropy(classifier(at[None]), label[None]).backward()
            candidates = []
            for ball in balls:
                grad = at.grad.clone()
                if ball.norm == "linf":
                    step = ball.step_size * grad.sign()
                elif ball.norm == "l2":
                    step = ball.step_size * grad / grad.norm()
                else:
                    step = torch.zeros_like(grad).flatten()
                    top = grad.abs().flatten().topk(ball.top).indices
                    step[top] = ball.step_size / ball.top * grad.flatten()[top].sign()
                    step = step.view_as(grad)
                moved = ball.lp.project((delta + step)[None], ball.radius)[0]
                moved = (image + moved).clamp(0, 1) - image
                with torch.no_grad():
                    candidates.append((F.cross_entropy(classifier((image + moved)[None]), label[None]).item(), moved))
            loss, delta = max(candidates, key=lambda c: c[0])
            if loss > best_loss:
                best, best_loss = delta, loss
        results.append(image + best)
    return torch.stack(results)


def test_msd_equals_a_brute_force_image_by_image():
    classifier, x, y = small_net(), torch.rand(5, 1, 5, 5, generator=generator(4)), torch.tensor([0, 1, 2, 3, 0])
    balls = [Attack("linf", 0.1, 0.03, 6), Attack("l1", 1.0, 0.3, 6, 3), Attack("l2", 0.4, 0.1, 6)]
    found = msd(classifier, x, y, balls)
    torch.testing.assert_close(found, brute_force_msd(classifier, x, y, balls), rtol=0, atol=1e-6)
