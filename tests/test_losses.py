"""Losses against their formulas, written out class by class in float64."""

import math

import torch

from mngac.losses import FLOOR, jensen_shannon, kl


def posteriors(logits):
    return [[math.exp(v) / sum(math.exp(u) for u in row) for v in row] for row in logits.double().tolist()]


def logits(seed, scale=1.0):
    return scale * torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))


def test_kl_is_the_mean_of_p_log_p_over_q():
    a, b = logits(0), logits(1)
    terms = [
        sum(p * math.log(p / q) for p, q in zip(ps, qs, strict=True))
        for ps, qs in zip(posteriors(a), posteriors(b), strict=True)
    ]
    torch.testing.assert_close(kl(a, b).item(), sum(terms) / 4, rtol=1e-6, atol=1e-7)


def test_kl_of_equal_posteriors_is_zero():
    assert kl(logits(0), logits(0) + 5).abs() < 1e-6


def test_jensen_shannon_is_the_mean_divergence_from_the_mixture():
    views = [logits(s) for s in range(3)]
    total = 0.0
    for image in range(4):
        ps = [posteriors(v)[image] for v in views]
        mixture = [min(max(sum(p[c] for p in ps) / 3, FLOOR), 1) for c in range(3)]
        total += sum(p[c] * math.log(p[c] / mixture[c]) for p in ps for c in range(3)) / 3
    torch.testing.assert_close(jensen_shannon(*views).item(), total / 4, rtol=1e-6, atol=1e-7)


def test_jensen_shannon_lies_between_zero_and_log_n():
    views = [1000 * torch.eye(3) for _ in range(2)]
    assert jensen_shannon(*views).abs() < 1e-5
    apart = [torch.tensor([[500.0, 0, 0]]), torch.tensor([[0, 500.0, 0]])]
    torch.testing.assert_close(jensen_shannon(*apart).item(), math.log(2), rtol=1e-4, atol=0)


def test_jensen_shannon_of_zero_probabilities_has_a_finite_gradient():
    view = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    other = torch.tensor([[-300.0, 300.0, 0.0]], requires_grad=True)
    jensen_shannon(view, other).backward()
    assert view.grad.isfinite().all() and other.grad.isfinite().all()
