"""RAMP: its loss and its projection against literal transcriptions, number by number."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from helpers import attacks, entry, setup
from literal import ce, kl, mean, posterior
from torch import nn

from mngac.attacks.apgd import apgd, apgd_with_losses
from mngac.methods.base import Batch, Step
from mngac.methods.gradient_projection import projected
from mngac.methods.ramp import Method, logit_pairing
from mngac.models.frozen import under_attack
from mngac.sgd import SGD

STEP = Step(5, 0.05, 0, "cpu")
ATTACKS = {**attacks(), "l1": replace(attacks()["l1"], radius=1.8)}
"""With balls in which neither norm is the worst for all images."""


def net():
    """A classifier whose logits differ by several units, so that attacks differ too."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).train()
    with torch.no_grad():
        network[-1].weight.mul_(8)
    return network


def batch(n=12):
    """Every second image is classified right."""
    x = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = net().eval()(x).argmax(1)
    return Batch(x, (right + torch.arange(n) % 2) % 3)


def build(classifier, **changes):
    method = Method(entry("ramp", **changes), setup(attacks=ATTACKS))
    method.initialise(classifier)
    return method


def attacked(classifier, b, norm):
    attack = ATTACKS[norm]
    with under_attack(classifier, "eval"):
        return apgd_with_losses(classifier, b.x, b.y, norm, attack.radius, attack.steps, STEP.stream(f"attack {norm}"))


def rows_of(classifier, x):
    return classifier(x).detach().double().tolist()


# ---------------------------------------------------------------- the loss


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_an_attacks_losses_are_those_of_its_images(norm):
    classifier, b = net(), batch()
    x_adv, losses = attacked(classifier, b, norm)
    rows = rows_of(classifier.eval(), x_adv)
    for loss, row, label in zip(losses.tolist(), rows, b.y.tolist(), strict=True):
        assert loss == pytest.approx(ce(row, label), rel=1e-5, abs=1e-6)
    attack = ATTACKS[norm]
    with under_attack(classifier, "eval"):
        again = apgd(classifier, b.x, b.y, norm, attack.radius, attack.steps, STEP.stream(f"attack {norm}"))
    assert torch.equal(again, x_adv)


@pytest.mark.parametrize("beta", [5, 1.5])
def test_the_loss_is_the_worst_attacks_and_the_divergence_where_the_first_norm_is_right(beta):
    classifier, b = net(), batch()
    twin = copy.deepcopy(classifier)
    loss = build(classifier, beta=beta).loss(classifier, b, STEP).item()
    (x_linf, losses_linf), (x_l1, losses_l1) = attacked(twin, b, "linf"), attacked(twin, b, "l1")
    worse = [one > other for one, other in zip(losses_linf.tolist(), losses_l1.tolist(), strict=True)]
    assert 0 < sum(worse) < len(worse)
    worst = torch.stack([x_linf[i] if flag else x_l1[i] for i, flag in enumerate(worse)])
    rows_l1, rows_linf, rows_worst = (rows_of(twin, x) for x in (x_l1, x_linf, worst))
    y = b.y.tolist()
    right = [row.index(max(row)) == label for row, label in zip(rows_linf, y, strict=True)]
    assert 0 < sum(right) < len(right)
    pairs = [kl(posterior(p), posterior(q)) for p, q, keep in zip(rows_linf, rows_l1, right, strict=True) if keep]
    expected = mean(ce(row, label) for row, label in zip(rows_worst, y, strict=True)) + beta * mean(pairs)
    assert abs(loss - expected) <= 1e-6 * max(1, abs(expected))


def test_the_passes_move_batch_norm_in_the_order_of_the_released_code():
    classifier, b = net(), batch()
    twin = copy.deepcopy(classifier)
    seen = []
    classifier.register_forward_pre_hook(lambda module, given: seen.append(given[0]) if module.training else None)
    build(classifier, projection=0).loss(classifier, b, STEP)
    x_l1, x_linf = (attacked(twin, b, norm)[0] for norm in ("l1", "linf"))
    assert len(seen) == 3 and torch.equal(seen[0], x_l1) and torch.equal(seen[1], x_linf)


def test_the_pairing_has_a_gradient_to_both_posteriors_and_none_where_nothing_is_right():
    source = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.0]], requires_grad=True)
    found = logit_pairing(source, target, torch.tensor([0, 2]))
    assert found.item() == pytest.approx(kl(posterior([2, 0, 0]), posterior([0, 1, 0])), rel=1e-6)
    gradients = torch.autograd.grad(found, [source, target])
    assert all(gradient[0].abs().sum() > 0 and not gradient[1].any() for gradient in gradients)
    nothing = logit_pairing(source, target, torch.tensor([1, 2]))
    nothing.backward()
    assert nothing.item() == 0 and not source.grad.any() and not target.grad.any()


# ---------------------------------------------------------------- the projection


def literal_projection(before, robust, clean, b):
    """One tensor of numbers in double precision."""
    g, h = ([v - w for v, w in zip(after, before, strict=True)] for after in (robust, clean))
    lengths = math.sqrt(sum(v * v for v in g)) * math.sqrt(sum(v * v for v in h))
    cosine = sum(v * w for v, w in zip(g, h, strict=True)) / lengths
    return [w + (1 - b) * u + b * max(0.0, cosine) * v for w, u, v in zip(before, g, h, strict=True)]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("agrees", [True, False])
def test_the_projection_is_the_literal_one(share, agrees):
    draws = torch.Generator().manual_seed(0)
    before, robust = (torch.randn(3, 4, generator=draws) for _ in range(2))
    step = robust - before
    turned = (1 if agrees else -1) * step + 0.5 * torch.randn(3, 4, generator=draws)
    counts = [{"count": torch.tensor(number)} for number in (1, 7, 5)]
    tensors = [{"w": weight, **count} for weight, count in zip((before, robust, before + turned), counts, strict=True)]
    found = projected(*tensors, share)
    given = (before.double().flatten().tolist(), robust.double().flatten().tolist())
    expected = literal_projection(*given, (before + turned).double().flatten().tolist(), share)
    assert found["w"].flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert found["count"] == 7
    if not agrees:
        assert torch.allclose(found["w"], before + (1 - share) * step, atol=1e-6)


def test_tensors_that_did_not_move_stay():
    same = {"w": torch.ones(3)}
    assert torch.equal(projected(same, same, same, 0.5)["w"], torch.ones(3))


def test_the_copy_is_trained_on_clean_images_with_a_momentum_that_lives_on():
    """Two epochs of two steps, against a classifier that is trained by hand."""
    classifier = net()
    method, by_hand = build(classifier), copy.deepcopy(classifier)
    optimizer = SGD(by_hand.parameters(), 0.9, 0.0005)
    for epoch in range(2):
        before = copy.deepcopy(classifier.state_dict())
        by_hand.load_state_dict(before)
        for number in (2 * epoch, 2 * epoch + 1):
            step, b = Step(number, 0.1, 0, "cpu"), batch()
            method.loss(classifier, b, step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(by_hand(b.x), b.y).backward()
            optimizer.step(0.1)
        with torch.no_grad():
            for weight in classifier.parameters():
                weight.add_(0.01)
        robust = copy.deepcopy(classifier.state_dict())
        expected = projected(before, robust, by_hand.state_dict(), 0.5)
        method.after_epoch(classifier, epoch)
        for found in (classifier.state_dict(), method.natural, method.before):
            assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert not torch.equal(classifier.state_dict()["4.weight"], robust["4.weight"])


def test_without_projection_nothing_is_copied():
    classifier = net()
    method = build(classifier, projection=0)
    method.loss(classifier, batch(), STEP).backward()
    before = copy.deepcopy(classifier.state_dict())
    method.after_epoch(classifier, 0)
    assert not hasattr(method, "natural") and method.state_dict() == {}
    assert all(torch.equal(classifier.state_dict()[name], value) for name, value in before.items())
