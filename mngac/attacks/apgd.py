"""Auto-PGD for l_inf, l_2 and l_1, batched on the device: no step sizes to choose.

Croce and Hein 2020 (l_inf, l_2) and 2021 (l_1, with adaptive sparsity). Every decision is per image by masks, so
no device is waited for; training uses the point of highest loss, evaluation the last one that fools.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.attacks.pgd import Classifier
from mngac.l1_thresholds import nth_largest
from mngac.norms import LP, l1_box_project
from mngac.shapes import Images, Labels, PerImage

MOMENTUM = 0.75
RISES = 0.75
SPARSER = 0.95
SHRINK_L1 = 1.5
LEAST_L1 = 10.0
FIRST_SHARE_L1 = 0.2

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits (batch, classes), labels (batch,), classes aimed at (batch,)) -> what each image's attack raises (batch,)."""


def cross_entropy(logits: Tensor, y: Tensor, aim: Tensor) -> Tensor:
    """The cross-entropy of the label, wherever it leads."""
    return F.cross_entropy(logits, y, reduction="none")


def targeted_margin(logits: Tensor, y: Tensor, aim: Tensor) -> Tensor:
    """The logit aimed at minus the label's (Carlini and Wagner 2017, f_6, without its constants)."""
    return logits.gather(1, aim[:, None])[:, 0] - logits.gather(1, y[:, None])[:, 0]


@dataclass(frozen=True)
class Problem:
    """What is attacked, in which ball, with how many gradient steps, and what is raised."""

    classifier: Classifier
    norm: str
    radius: float
    steps: int
    loss: Loss = cross_entropy


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.dim() - 1))


class Ascent:
    """Images on their way up from a start: the current, previous and best point of each.

    Every tensor attribute has one entry an image, so that images can be let go.
    """

    def __init__(self, problem: Problem, x: Tensor, y: Tensor, aim: Tensor, start: Tensor):
        self.problem, self.x, self.y, self.aim = problem, x, y, aim
        self.lp = LP[problem.norm]
        self.first_step = problem.radius if problem.norm == "l1" else 2 * problem.radius
        self.point = self.previous = self.adversarial = start
        self.step = torch.full((len(x),), self.first_step, device=x.device)
        self.loss, self.gradient, self.fooled = self._look()
        self.best, self.best_gradient, self.best_loss = self.point, self.gradient, self.loss
        self.rises = torch.zeros(len(x), device=x.device)
        """How often each image's loss rose since the last check."""
        self.taken = 0

    def _look(self, *, last: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Loss per image, its gradient to the image, and whether the image fools the classifier.

        After the last step, when nothing follows the gradient any more, the former one is given back.
        """
        with torch.set_grad_enabled(not last):
            point = self.point.detach().requires_grad_(not last)
            logits = self.problem.classifier(point)
            losses = self.problem.loss(logits, self.y, self.aim)
            gradient = self.gradient if last else torch.autograd.grad(losses.sum(), point)[0].to(point.dtype)
        return losses.detach(), gradient, logits.detach().argmax(1) != self.y

    def advance(self) -> None:
        """One step of every image."""
        raise NotImplementedError

    def run(self) -> None:
        """All steps that are left."""
        while self.taken < self.problem.steps:
            self.advance()

    def keep(self, chosen: Tensor) -> None:
        """Lets all other images go."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[chosen])

    def _move(self, target: Tensor) -> None:
        """To the target; then keeps what is best."""
        self.previous, self.point = self.point, target
        before = self.loss
        self.taken += 1
        self.loss, self.gradient, fooled = self._look(last=self.taken == self.problem.steps)
        self.rises = self.rises + (self.loss > before).float()
        self.adversarial = torch.where(_like(fooled, self.x), self.point, self.adversarial)
        self.fooled = self.fooled | fooled
        better = self.loss > self.best_loss
        self.best = torch.where(_like(better, self.x), self.point, self.best)
        self.best_gradient = torch.where(_like(better, self.x), self.gradient, self.best_gradient)
        self.best_loss = torch.where(better, self.loss, self.best_loss)

    def _back_to_best(self, chosen: Tensor) -> None:
        """The chosen images take their next steps from their best point."""
        self.point = torch.where(_like(chosen, self.x), self.best, self.point)
        self.gradient = torch.where(_like(chosen, self.x), self.best_gradient, self.gradient)


def _checkpoints(steps: int) -> set[int]:
    """Steps after which step sizes are looked at: 22 % of the steps, then ever shorter spans, at least 6 %."""
    span, least, shorter = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    ends, at = set(), span
    while at <= steps:
        ends.add(at)
        span = max(span - shorter, least)
        at += span
    return ends


class Halving(Ascent):
    """l_inf and l_2: momentum, and half the step where the loss rose too seldom or its best stood still."""

    def __init__(self, problem: Problem, x: Tensor, y: Tensor, aim: Tensor, start: Tensor):
        super().__init__(problem, x, y, aim, start)
        self.checks = _checkpoints(problem.steps)
        self.last_best, self.halved = self.best_loss, torch.ones_like(self.best_loss, dtype=torch.bool)
        self.since = 0

    def advance(self) -> None:
        """A step with momentum; at the checks, a look at the step sizes."""
        ahead = self.lp.ascend(self.gradient, 1.0, 1) * _like(self.step, self.x)
        trial = self._inside(self.point + ahead)
        share = MOMENTUM if self.taken else 1.0
        self._move(self._inside(self.point + share * (trial - self.point) + (1 - share) * (self.point - self.previous)))
        self.since += 1
        if self.taken in self.checks:
            self._check()

    def _inside(self, point: Tensor) -> Tensor:
        return self.x + self.lp.to_ball(self.x, point - self.x, self.problem.radius)

    def _check(self) -> None:
        seldom = self.rises <= RISES * self.since
        still = ~self.halved & (self.last_best >= self.best_loss)
        self.halved, self.last_best = seldom | still, self.best_loss
        self.step = torch.where(self.halved, self.step / 2, self.step)
        self._back_to_best(self.halved)
        self.rises, self.since = torch.zeros_like(self.rises), 0


class Sparse(Ascent):
    """l_1: steps on a share of the coordinates that follows the sparsity of the best point (2021, algorithm 2).

    `share` is the first share; `nonzero` the number of coordinates against which the first check compares.
    """

    def __init__(
        self, problem: Problem, x: Tensor, y: Tensor, aim: Tensor, start: Tensor, share: Tensor, nonzero: Tensor
    ):
        super().__init__(problem, x, y, aim, start)
        self.share, self.nonzero = share, nonzero
        self.every = max(int(0.04 * problem.steps), 1)

    def advance(self) -> None:
        """A sparse step, projected on ball and box at once; at the checks, a look at sparsity and step sizes."""
        wanted = self.point + self._sparse_step() - self.x
        self._move(self.x + l1_box_project(self.x, wanted, self.problem.radius))
        if self.taken % self.every == 0:
            self._check()

    def _check(self) -> None:
        now = _moved(self.x, self.best)
        sparser = now < SPARSER * self.nonzero
        self.share, self.nonzero = now / self.x[0].numel() / SHRINK_L1, now
        smaller = (self.step / SHRINK_L1).clamp_min(self.first_step / LEAST_L1)
        self.step = torch.where(sparser, torch.full_like(self.step, self.first_step), smaller)
        self._back_to_best(sparser)

    def _sparse_step(self) -> Tensor:
        flat = self.gradient.flatten(1)
        count = flat.shape[1]
        # Each image moves its own number of coordinates: those above the value at its own place among the gradient's.
        # A mask does that for a batch at once, where topk would need one number for all.
        place = (count - 1 - ((1 - self.share) * count).long()).clamp(0, count - 1)
        level = nth_largest(flat.abs(), place[:, None])
        signs = (flat * (flat.abs() >= level)).sign()
        length = self.step[:, None] / signs.abs().sum(1, keepdim=True).clamp_min(1)
        return (length * signs).view(self.x.shape)


def _moved(x: Tensor, point: Tensor) -> Tensor:
    """Coordinates of each image that differ from x."""
    return (point != x).flatten(1).sum(1).float()


def draw(x: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """Noise of the images' shape, from which a start is made: uniform in (-1, 1) for l_inf, else standard normal."""
    if norm == "linf":
        return 2 * torch.rand(x.shape, device=x.device, generator=generator) - 1
    return torch.randn(x.shape, device=x.device, generator=generator)


def from_noise(problem: Problem, x: Tensor, y: Tensor, aim: Tensor, noise: Tensor) -> Ascent:
    """The ascent from the start that the noise gives: scaled to the sphere, in l_1 projected on ball and box."""
    if problem.norm == "l1":
        start = x + l1_box_project(x, noise, problem.radius)
        everything = torch.full((len(x),), float(x[0].numel()), device=x.device)
        return Sparse(problem, x, y, aim, start, torch.full_like(everything, FIRST_SHARE_L1), everything)
    delta = problem.radius * noise / _like(LP[problem.norm].size(noise), x)
    return Halving(problem, x, y, aim, (x + delta).clamp(0, 1))


def through_larger_balls(problem: Problem, x: Tensor, y: Tensor, aim: Tensor, noise: Tensor) -> Ascent:
    """The last of three l_1 ascents, in balls of 3, 2 and 1 times the radius, each from the best point before.

    They take 30, 30 and 40 % of the steps, as in AutoAttack's standard version (Croce and Hein 2021, section 4.3), but
    at least one is left for the ball itself. The last one's steps are the caller's to take.
    """
    early = min(math.ceil(0.3 * problem.steps), (problem.steps - 1) // 2)
    point = x + noise
    for times, steps in ((3, early), (2, early), (1, problem.steps - 2 * early)):
        part = Problem(problem.classifier, "l1", times * problem.radius, steps, problem.loss)
        point = x + l1_box_project(x, point - x, part.radius)
        nonzero = _moved(x, point)
        ascent = Sparse(part, x, y, aim, point, nonzero / x[0].numel() / SHRINK_L1, nonzero)
        if times > 1:
            ascent.run()
            point = ascent.best
    return ascent


@torch.no_grad()
def apgd_with_losses(
    classifier: Classifier, x: Images, y: Labels, norm: str, radius: float, steps: int, generator: torch.Generator
) -> tuple[Images, PerImage]:
    """x_adv of the highest cross-entropy, for training, and what that is for each image.

    Args:
        classifier: [0, 1] images -> logits; its mode is the caller's.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        norm: linf, l1 or l2.
        radius: of the ball, in the norm.
        steps: gradient steps.
        generator: of the random start.
    """
    ascent = from_noise(Problem(classifier, norm, radius, steps), x, y, y, draw(x, norm, generator))
    ascent.run()
    return ascent.best.detach(), ascent.best_loss


def apgd(
    classifier: Classifier, x: Images, y: Labels, norm: str, radius: float, steps: int, generator: torch.Generator
) -> Images:
    """The images that `apgd_with_losses` gives, of the same arguments."""
    return apgd_with_losses(classifier, x, y, norm, radius, steps, generator)[0]
