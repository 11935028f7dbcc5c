"""Auto-PGD on cross-entropy for l_inf, l_2 and l_1, batched on the device: no step sizes to choose.

Croce and Hein 2020 (l_inf, l_2) and 2021 (l_1, with adaptive sparsity). Every decision is per image by masks, so
there is no host synchronisation; training uses the point of highest loss, evaluation the last one that fools.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.attacks.pgd import Classifier
from mngac.norms import NORMS, l1_box_project

MOMENTUM = 0.75
RISES = 0.75
SPARSER = 0.95
SHRINK_L1 = 1.5
LEAST_L1 = 10.0
FIRST_SHARE_L1 = 0.2


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.dim() - 1))


class _Ascent:
    """One run from a start: the current, previous and best points of each image."""

    def __init__(self, classifier: Classifier, x: Tensor, y: Tensor, norm: str, radius: float, start: Tensor):
        self.classifier, self.x, self.y, self.radius = classifier, x, y, radius
        self.ball = NORMS[norm]
        self.point = self.previous = start
        self.first_step = radius if norm == "l1" else 2 * radius
        self.step = torch.full((len(x),), self.first_step, device=x.device)
        self.loss, self.gradient, fooled = self._look()
        self.best, self.best_gradient, self.best_loss = self.point, self.gradient, self.loss
        self.fooled = fooled
        self.adversarial = self.point
        self.rises = torch.zeros(len(x), device=x.device)
        """How often each image's loss rose since the last check."""

    def _look(self) -> tuple[Tensor, Tensor, Tensor]:
        """Loss per image, its gradient to the image, and whether the image fools the classifier."""
        with torch.enable_grad():
            point = self.point.detach().requires_grad_()
            logits = self.classifier(point)
            losses = F.cross_entropy(logits, self.y, reduction="none")
            gradient = torch.autograd.grad(losses.sum(), point)[0]
        return losses.detach(), gradient.float(), logits.detach().argmax(1) != self.y

    def move(self, target: Tensor) -> None:
        """To the target; then keeps what is best."""
        self.previous, self.point = self.point, target
        before = self.loss
        self.loss, self.gradient, fooled = self._look()
        self.rises += (self.loss > before).float()
        self.adversarial = torch.where(_like(fooled, self.x), self.point, self.adversarial)
        self.fooled = self.fooled | fooled
        better = self.loss > self.best_loss
        self.best = torch.where(_like(better, self.x), self.point, self.best)
        self.best_gradient = torch.where(_like(better, self.x), self.gradient, self.best_gradient)
        self.best_loss = torch.where(better, self.loss, self.best_loss)

    def back_to_best(self, chosen: Tensor) -> None:
        """The chosen images go on from their best point."""
        self.point = torch.where(_like(chosen, self.x), self.best, self.point)
        self.gradient = torch.where(_like(chosen, self.x), self.best_gradient, self.gradient)


def _checkpoints(steps: int) -> set[int]:
    """Steps after which step sizes are looked at: 22 % of the steps, then ever shorter spans, at least 6 %."""
    span, least, shorter = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    found, at = set(), span
    while at <= steps:
        found.add(at)
        span = max(span - shorter, least)
        at += span
    return found


def _into(run: _Ascent, point: Tensor) -> Tensor:
    return run.x + run.ball.to_ball(run.x, point - run.x, run.radius)


def _halving(run: _Ascent, steps: int) -> None:
    """l_inf and l_2: momentum, and half the step where the loss rose too seldom or its best stood still."""
    checks = _checkpoints(steps)
    last_best, halved = run.best_loss, torch.ones_like(run.best_loss, dtype=torch.bool)
    since = 0
    for i in range(steps):
        ahead = run.ball.ascend(run.gradient, 1.0, 1) * _like(run.step, run.x)
        trial = _into(run, run.point + ahead)
        share = MOMENTUM if i else 1.0
        run.move(_into(run, run.point + share * (trial - run.point) + (1 - share) * (run.point - run.previous)))
        since += 1
        if i + 1 in checks:
            seldom = run.rises <= RISES * since
            still = ~halved & (last_best >= run.best_loss)
            halved, last_best = seldom | still, run.best_loss
            run.step = torch.where(halved, run.step / 2, run.step)
            run.back_to_best(halved)
            run.rises, since = torch.zeros_like(run.rises), 0


def _sparse(run: _Ascent, steps: int, share: Tensor, nonzero: Tensor) -> None:
    """l_1: steps on a share of the coordinates that follows the sparsity of the best point (2021, algorithm 2).

    `nonzero` is the number of coordinates against which the first check compares.
    """
    count = run.x[0].numel()
    every = max(int(0.04 * steps), 1)
    for i in range(steps):
        run.move(run.x + l1_box_project(run.x, run.point + _sparse_step(run, share) - run.x, run.radius))
        if (i + 1) % every == 0:
            now = _moved(run.x, run.best)
            sparser = now < SPARSER * nonzero
            share, nonzero = now / count / SHRINK_L1, now
            smaller = (run.step / SHRINK_L1).clamp_min(run.first_step / LEAST_L1)
            run.step = torch.where(sparser, torch.full_like(run.step, run.first_step), smaller)
            run.back_to_best(sparser)


def _moved(x: Tensor, point: Tensor) -> Tensor:
    """Coordinates of each image that differ from x."""
    return (point != x).flatten(1).sum(1).float()


def _sparse_step(run: _Ascent, share: Tensor) -> Tensor:
    flat = run.gradient.flatten(1)
    count = flat.shape[1]
    place = ((1 - share) * count).long().clamp(0, count - 1)
    level = flat.abs().sort(1).values.gather(1, place[:, None])
    signs = (flat * (flat.abs() >= level)).sign()
    length = run.step[:, None] / signs.abs().sum(1, keepdim=True).clamp_min(1)
    return (length * signs).view(run.x.shape)


def _start(x: Tensor, norm: str, radius: float, generator: torch.Generator) -> Tensor:
    if norm == "l1":
        return x + l1_box_project(x, torch.randn(x.shape, device=x.device, generator=generator), radius)
    if norm == "linf":
        draw = 2 * torch.rand(x.shape, device=x.device, generator=generator) - 1
        delta = radius * draw / _like(draw.abs().flatten(1).amax(1), x)
    else:
        draw = torch.randn(x.shape, device=x.device, generator=generator)
        delta = radius * draw / _like(draw.flatten(1).norm(dim=1), x)
    return (x + delta).clamp(0, 1)


def _from_random(
    classifier: Classifier, x: Tensor, y: Tensor, norm: str, radius: float, steps: int, generator: torch.Generator
) -> _Ascent:
    run = _Ascent(classifier, x, y, norm, radius, _start(x, norm, radius, generator))
    if norm == "l1":
        everything = torch.full((len(x),), float(x[0].numel()), device=x.device)
        _sparse(run, steps, torch.full_like(everything, FIRST_SHARE_L1), everything)
    else:
        _halving(run, steps)
    return run


def _from_larger_balls(
    classifier: Classifier, x: Tensor, y: Tensor, radius: float, steps: int, generator: torch.Generator
) -> _Ascent:
    """l_1 in balls of 3, 2 and 1 times the radius, with 30, 30 and 40 % of the steps, each from the best before."""
    early = math.ceil(0.3 * steps)
    point = x + torch.randn(x.shape, device=x.device, generator=generator)
    for times, some in ((3, early), (2, early), (1, steps - 2 * early)):
        point = x + l1_box_project(x, point - x, times * radius)
        run = _Ascent(classifier, x, y, "l1", times * radius, point)
        nonzero = _moved(x, point)
        _sparse(run, some, nonzero / x[0].numel() / SHRINK_L1, nonzero)
        point = run.best
    return run


@torch.no_grad()
def apgd(
    classifier: Classifier, x: Tensor, y: Tensor, norm: str, radius: float, steps: int, generator: torch.Generator
) -> Tensor:
    """x_adv of the highest cross-entropy, for training.

    Args:
        classifier: [0, 1] images -> logits; its mode is the caller's.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        norm: linf, l1 or l2.
        radius: of the ball, in the norm.
        steps: gradient steps.
        generator: of the random start.
    """
    return _from_random(classifier, x, y, norm, radius, steps, generator).best.detach()


@torch.no_grad()
def apgd_evaluation(
    classifier: Classifier, x: Tensor, y: Tensor, norm: str, radius: float, steps: int, generator: torch.Generator
) -> Tensor:
    """x_adv that fools where one was found, else some point of the ball; arguments as for `apgd`.

    For l_1 the larger balls come first, as in AutoAttack's standard version (Croce and Hein 2021, section 4.3).
    """
    if norm == "l1":
        run = _from_larger_balls(classifier, x, y, radius, steps, generator)
    else:
        run = _from_random(classifier, x, y, norm, radius, steps, generator)
    return torch.where(_like(run.fooled, x), run.adversarial, run.point).clamp(0, 1).detach()
