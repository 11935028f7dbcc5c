"""The plain reference: the same training steps as a straightforward implementation takes them, written out.

Images and weights are contiguous float32; an attack calls `loss.backward()`, which computes the weights' gradients too;
the l_1 step finds its coordinates by numpy's percentile, the l_1 projection sorts every row; mng_ac copies the network
for its virtual step and keeps a graph of the second order. Each step does the same mathematics as the project's: views,
attack steps, random draws and batch statistics, so that both give the same loss from the same start.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mngac.attacks.pgd import Attack
from mngac.methods.base import Step
from mngac.params.types import number

# ---------------------------------------------------------------- batch norm


@contextlib.contextmanager
def statistics_kept(net: nn.Module, mode: str) -> Iterator[None]:
    """The network in `train` or `eval` mode, its running means and variances unmoved."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    net.train(mode == "train")
    try:
        yield
    finally:
        net.train()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


# ---------------------------------------------------------------- norms


def column(values: Tensor) -> Tensor:
    """(batch,) -> (batch, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def random_start(x: Tensor, attack: Attack, draws: torch.Generator) -> Tensor:
    """A perturbation uniform in the ball."""
    count = x[0].numel()
    if attack.norm == "linf":
        return attack.radius * (2 * torch.rand(x.shape, generator=draws, device=x.device) - 1)
    if attack.norm == "l2":
        direction = torch.randn(x.shape, generator=draws, device=x.device)
        share = torch.rand(len(x), generator=draws, device=x.device) ** (1 / count)
        return attack.radius * column(share / direction.flatten(1).norm(dim=1)) * direction
    sizes = torch.empty(len(x), count + 1, device=x.device).exponential_(generator=draws)
    signs = 2 * torch.randint(0, 2, (len(x), count), generator=draws, device=x.device) - 1
    return (attack.radius * signs * sizes[:, :-1] / sizes.sum(1, keepdim=True)).view(x.shape)


def ascent(grad: Tensor, attack: Attack) -> Tensor:
    """A step: the sign; the normalised gradient; the sign where the gradient is among the largest 1 %."""
    if attack.norm == "linf":
        return attack.step_size * grad.sign()
    if attack.norm == "l2":
        return attack.step_size * grad / column(grad.flatten(1).norm(dim=1).clamp_min(1e-12))
    sizes = grad.abs().flatten(1).cpu().numpy()
    bound = torch.from_numpy(np.percentile(sizes, 99, axis=1).astype(sizes.dtype)).to(grad.device)
    largest = (grad.abs() >= column(bound)).to(grad.dtype)
    return attack.step_size * grad.sign() * largest / column(largest.flatten(1).sum(1))


def project(delta: Tensor, attack: Attack) -> Tensor:
    """The nearest perturbation in the ball; for l_1 by a full sort of every row (Duchi et al. 2008)."""
    if attack.norm == "linf":
        return delta.clamp(-attack.radius, attack.radius)
    if attack.norm == "l2":
        return delta * column((attack.radius / delta.flatten(1).norm(dim=1).clamp_min(1e-12)).clamp_max(1))
    sizes = delta.flatten(1).abs()
    ordered, _ = sizes.sort(dim=1, descending=True)
    sums = ordered.cumsum(1) - attack.radius
    ranks = torch.arange(1, sizes.shape[1] + 1, device=delta.device)
    last = (ordered * ranks > sums).sum(1, keepdim=True)
    threshold = (sums.gather(1, last - 1) / last).clamp_min(0)
    return (delta.flatten(1).sign() * (sizes - threshold).clamp_min(0)).view(delta.shape)


def into_ball(x: Tensor, delta: Tensor, attack: Attack) -> Tensor:
    """Projected, then clipped so that x + delta is an image."""
    return (x + project(delta, attack)).clamp(0, 1) - x


def noisy(x: Tensor, noise: Tensor, attack: Attack) -> Tensor:
    """An image with noise put into the ball; in l_2 scaled until the clipped image lies at the radius."""
    if attack.norm != "l2":
        return (x + project(noise, attack)).clamp(0, 1)
    flat, image = noise.flatten(1), x.flatten(1)
    room = torch.where(flat >= 0, 1 - image, image)
    reach, order = (room / flat.abs().clamp_min(1e-12)).sort(dim=1)
    squares, rooms = flat.gather(1, order) ** 2, room.gather(1, order) ** 2
    free = squares.flip(1).cumsum(1).flip(1)
    used = rooms.cumsum(1) - rooms
    segment = (used + reach**2 * free < attack.radius**2).sum(1, keepdim=True).clamp_max(flat.shape[1] - 1)
    rest = (attack.radius**2 - used.gather(1, segment)).clamp_min(1e-12)
    scale = (rest / free.gather(1, segment).clamp_min(1e-12)).sqrt()
    return (image + scale * flat).clamp(0, 1).view(x.shape)


# ---------------------------------------------------------------- losses and attacks


def kl(logits: Tensor, logits_adv: Tensor) -> Tensor:
    """TRADES' divergence."""
    return F.kl_div(F.log_softmax(logits_adv, 1), F.softmax(logits, 1), reduction="batchmean")


def jensen_shannon(*logits: Tensor) -> Tensor:
    """The consistency of posteriors."""
    posteriors = [F.softmax(each, 1) for each in logits]
    mixture = torch.clamp(torch.stack(posteriors).mean(0), 1e-7, 1).log()
    terms = [F.kl_div(mixture, p.clamp(1e-7, 1), reduction="batchmean") for p in posteriors]
    return torch.stack(terms).mean()


def climb(net: nn.Module, x: Tensor, start: Tensor, attack: Attack, loss_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Projected gradient ascent, each gradient by a full backward."""
    delta = start
    for _ in range(attack.steps):
        delta = delta.detach().requires_grad_()
        loss_of(net(x + delta)).backward()
        assert delta.grad is not None
        delta = into_ball(x, delta.detach() + ascent(delta.grad, attack), attack)
    return (x + delta).clamp(0, 1).detach()


def worst_direction(net: nn.Module, x: Tensor, y: Tensor, attacks: Sequence[Attack]) -> Tensor:
    """MSD: one step in each norm from one point, the worst kept; the worst point of all steps."""
    delta, best, highest = torch.zeros_like(x), torch.zeros_like(x), torch.full((len(x),), -torch.inf, device=x.device)
    for _ in range(max(attack.steps for attack in attacks)):
        delta = delta.detach().requires_grad_()
        F.cross_entropy(net(x + delta), y).backward()
        assert delta.grad is not None
        tried, losses = [], []
        for attack in attacks:
            candidate = into_ball(x, delta.detach() + ascent(delta.grad, attack), attack)
            tried.append(candidate)
            losses.append(F.cross_entropy(net(x + candidate), y, reduction="none").detach())
        worst, chosen = torch.stack(losses).max(0)
        delta = torch.stack(tried)[chosen, torch.arange(len(x), device=x.device)]
        best = torch.where(column(worst > highest), delta, best)
        highest = torch.maximum(worst, highest)
    return (x + best).clamp(0, 1).detach()


# ---------------------------------------------------------------- methods


class Plain:
    """One training: network, optimizer and, for mng_ac, a noise generator with its own.

    Args:
        net: the classifier; trained in place.
        entry: the method's keys, as params.yaml states them.
        attacks: training attack by norm.
        generator: the noise generator of mng_ac.
        momentum: of SGD.
        weight_decay: of SGD.
    """

    def __init__(
        self,
        net: nn.Module,
        entry: Mapping[str, Any],
        attacks: Mapping[str, Attack],
        generator: nn.Module | None,
        momentum: float,
        weight_decay: float,
    ):
        self.net, self.entry, self.attacks, self.generator = net, entry, attacks, generator
        sgd: dict[str, Any] = dict(lr=0.0, momentum=momentum, weight_decay=weight_decay)
        self.optimizer = torch.optim.SGD(net.parameters(), **sgd)
        self.generator_optimizer = torch.optim.SGD(generator.parameters(), **sgd) if generator else None

    def step(self, x: Tensor, y: Tensor, step: Step) -> float:
        """One step of training; its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = step.learning_rate
        loss = self.loss(x, y, step)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def loss(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """The loss of the entry's kind."""
        return LOSSES[self.entry["kind"]](self, x, y, step)

    def attack(self, x: Tensor, y: Tensor, step: Step, norm: str) -> Tensor:
        """PGD in the norm's ball, from a uniform start."""
        attack = self.attacks[norm]
        start = into_ball(x, random_start(x, attack, step.stream(f"attack {norm}")), attack)
        with statistics_kept(self.net, self.entry["attack_mode"]):
            return climb(self.net, x, start, attack, lambda logits: F.cross_entropy(logits, y))

    def sized(self, norm: str) -> Attack:
        """The training attack with the entry's own step size."""
        attack = self.attacks[norm]
        size = attack.radius * number(self.entry["step_sizes"][norm])
        return Attack(norm, attack.radius, size, attack.steps, attack.top)

    def natural(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """Clean images."""
        return F.cross_entropy(self.net(x), y)

    def adversarial(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """One norm."""
        return F.cross_entropy(self.net(self.attack(x, y, step, self.entry["norms"][0])), y)

    def average(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """The mean loss over norms."""
        attacked = [self.attack(x, y, step, norm) for norm in self.entry["norms"]]
        return torch.stack([F.cross_entropy(self.net(x_adv), y) for x_adv in attacked]).mean()

    def maximum(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """Each image's worst norm."""
        attacked = [self.attack(x, y, step, norm) for norm in self.entry["norms"]]
        with statistics_kept(self.net, "train"):
            losses = [F.cross_entropy(self.net(x_adv), y, reduction="none").detach() for x_adv in attacked]
        chosen = torch.stack(losses).argmax(0)
        return F.cross_entropy(self.net(torch.stack(attacked)[chosen, torch.arange(len(x), device=x.device)]), y)

    def msd(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """Multi Steepest Descent."""
        with statistics_kept(self.net, self.entry["attack_mode"]):
            x_adv = worst_direction(self.net, x, y, [self.sized(norm) for norm in self.entry["norms"]])
        return F.cross_entropy(self.net(x_adv), y)

    def trades(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """Cross-entropy on clean images and the divergence to attacked ones."""
        attack = self.sized(self.entry["norms"][0])
        noise = torch.randn(x.shape, generator=step.stream("attack start"), device=x.device)
        start = into_ball(x, self.entry["start_std"] * noise, attack)
        with statistics_kept(self.net, self.entry["attack_mode"]):
            clean = self.net(x).detach()
            x_adv = climb(self.net, x, start, attack, lambda logits: kl(clean, logits))
        logits = self.net(x)
        return F.cross_entropy(logits, y) + self.entry["beta"] * kl(logits, self.net(x_adv))

    def stochastic(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """A norm drawn; consistency with the clean view where beta is not 0."""
        norm = step.draw(self.entry["norms"])
        x_adv = self.attack(x, y, step, norm)
        if not self.entry["beta"]:
            return F.cross_entropy(self.net(x_adv), y)
        views = [x]
        if self.entry["noise"] == "gaussian":
            noise = torch.randn(x.shape, generator=step.stream("noise"), device=x.device)
            views.append(noisy(x, noise, self.attacks[norm]))
        logits = [self.net(view) for view in [*views, x_adv]]
        return F.cross_entropy(logits[-1], y) + self.entry["beta"] * jensen_shannon(*logits)

    def mng_ac(self, x: Tensor, y: Tensor, step: Step) -> Tensor:
        """A step of the generator through a virtual step of a copy, then the loss of three views."""
        attack = self.attacks[step.draw(self.entry["norms"])]
        x_adv = self.attack(x, y, step, attack.norm)
        self.meta_step(x, y, x_adv, attack, step)
        x_aug = self.augmented(x, attack, step, "noise again").detach()
        logits, logits_aug, logits_adv = self.net(x), self.net(x_aug), self.net(x_adv)
        consistency = jensen_shannon(logits, logits_adv, logits_aug)
        return F.cross_entropy(logits_adv, y) + self.entry["beta"] * consistency

    def meta_step(self, x: Tensor, y: Tensor, x_adv: Tensor, attack: Attack, step: Step) -> None:
        """The generator's gradient by a double backward, to the copied weights too."""
        assert self.generator_optimizer is not None
        copied = copy.deepcopy(self.net)
        weights = dict(copied.named_parameters())
        loss = F.cross_entropy(copied(self.augmented(x, attack, step, "noise")), y)
        grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        moved = {name: w - step.learning_rate * g for (name, w), g in zip(weights.items(), grads, strict=True)}
        meta_loss = F.cross_entropy(functional_call(copied, moved, (x_adv,)), y)
        self.generator_optimizer.zero_grad()
        meta_loss.backward()
        for group in self.generator_optimizer.param_groups:
            group["lr"] = step.learning_rate
        self.generator_optimizer.step()

    def augmented(self, x: Tensor, attack: Attack, step: Step, name: str) -> Tensor:
        """The image with generated noise."""
        assert self.generator is not None
        batch, channels, height, width = x.shape
        z = torch.randn(batch, channels, height + 2, width + 2, generator=step.stream(name), device=x.device)
        return noisy(x, self.generator(x, z), attack)


LOSSES: dict[str, Callable[[Plain, Tensor, Tensor, Step], Tensor]] = {
    "natural": Plain.natural,
    "adversarial": Plain.adversarial,
    "average": Plain.average,
    "maximum": Plain.maximum,
    "msd": Plain.msd,
    "trades": Plain.trades,
    "stochastic": Plain.stochastic,
    "mng_ac": Plain.mng_ac,
}
