"""Whether MNG-AC's noise generator learns: its angle to where it started, and what its noise is worth beside others.

Noise is worth what the meta loss falls by. Gaussian noise is the zero of the scale; a steepest-ascent step and x_adv
itself as the view show how much there is to gain (to first order x_adv is the optimum). Each number is noted by norm,
since norms differ more than epochs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mngac.attacks.pgd import Attack, gradient, summed_cross_entropy
from mngac.methods.base import Batch, Step
from mngac.models.noise_generator import NoiseGenerator

EVERY = 8
"""Of the steps of each norm, the share that is looked at: the first, the ninth, ..."""


@dataclass(frozen=True)
class MetaStep:
    """What one step of the generator did."""

    batch: Batch
    x_adv: Tensor
    attack: Attack
    step: Step
    meta_loss: Tensor
    """CE(f_theta'(x_adv), y) after the virtual step on the generator's noise: a scalar."""
    gradients: Sequence[Tensor]
    """Of the meta loss, one a weight of the generator."""


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """All numbers of some tensors, without gradient, in one row."""
    return torch.cat([t.detach().flatten() for t in tensors])


def angle(first: Tensor, second: Tensor) -> Tensor:
    """Degrees between two vectors, 0 for equal directions; exact for small angles, where the cosine is 1 to float32."""
    a, b = (v.double() / v.double().norm().clamp_min(1e-300) for v in (first, second))
    return 2 * torch.rad2deg(torch.atan2((a - b).norm(), (a + b).norm()))


def clamped_share(generator: NoiseGenerator, seen: MetaStep) -> Tensor:
    """Share of the noise's coordinates that putting it into the ball leaves without gradient."""
    x, attack = seen.batch.x, seen.attack
    with torch.no_grad():
        noise = generator(x, generator.draw(x, seen.step.stream("noise noted")))
    noise.requires_grad_()
    probe = torch.randn(x.shape, device=x.device, generator=seen.step.stream("probe"))
    grad = torch.autograd.grad((attack.lp.add_noise(x, noise, attack.radius) * probe).sum(), noise)[0]
    return grad.eq(0).float().mean()


def reference_views(classifier: nn.Module, seen: MetaStep) -> dict[str, Tensor]:
    """Views (batch, channels, height, width) beside the generator's, in its ball.

    Gaussian noise; one steepest-ascent step of the norm to the radius (FGSM); x_adv.
    """
    x, attack = seen.batch.x, seen.attack
    gaussian = torch.randn(x.shape, device=x.device, generator=seen.step.stream("gaussian"))
    grad = gradient(classifier, x, seen.batch.y, summed_cross_entropy)
    steepest = attack.lp.ascend(grad, attack.radius, attack.top)
    noises = {"gaussian": gaussian, "fgsm": steepest}
    return {name: attack.lp.add_noise(x, noise, attack.radius) for name, noise in noises.items()} | {
        "x_adv": seen.x_adv
    }


class Diagnostics:
    """Means, by norm, of what is noted of a generator on every eighth step of that norm."""

    def __init__(self, generator: NoiseGenerator, weight_decay: float, vectors_decay: bool = True):
        self.generator, self.weight_decay = generator, weight_decay
        self.decaying = [weight for weight in generator.parameters() if vectors_decay or weight.dim() > 1]
        self.initial = flat(list(generator.parameters())).clone()
        self.steps: dict[str, int] = {}
        """Steps of each norm so far."""
        self._sums: dict[str, Tensor] = {}

    def due(self, norm: str, learning_rate: float) -> bool:
        """Counts a step of a norm; whether it is to be looked at. One at rate 0 moves nothing and does not count."""
        if not learning_rate:
            return False
        self.steps[norm] = self.steps.get(norm, 0) + 1
        return self.steps[norm] % EVERY == 1

    def note(self, classifier: nn.Module, seen: MetaStep, worth: Callable[[Tensor], Tensor]) -> None:
        """Adds up, on the device, one step's numbers; `worth` gives the meta loss of a view, to first order."""
        losses = {name: worth(view) for name, view in reference_views(classifier, seen).items()}
        decay = self.weight_decay * flat(self.decaying).norm()
        noted = {
            "meta_loss": seen.meta_loss,
            "over_gaussian": seen.meta_loss - losses["gaussian"],
            "fgsm_over_gaussian": losses["fgsm"] - losses["gaussian"],
            "x_adv_over_gaussian": losses["x_adv"] - losses["gaussian"],
            "gradient_to_decay": flat(seen.gradients).norm() / decay.clamp_min(1e-12),
            "clamped_share": clamped_share(self.generator, seen),
        }
        for name, value in noted.items():
            pair = torch.stack([value.detach().float(), torch.ones_like(value).float()])
            key = f"{name}_{seen.attack.norm}"
            self._sums[key] = self._sums.get(key, torch.zeros_like(pair)) + pair

    def means(self) -> dict[str, float]:
        """The angle in degrees to the first weights, now; means since the last call, as `<name>_<norm>`."""
        means = {name: (total[0] / total[1]).item() for name, total in self._sums.items()}
        self._sums = {}
        return {"angle": angle(self.initial, flat(list(self.generator.parameters()))).item(), **means}

    def state_dict(self) -> dict[str, Any]:
        """The first weights, the counts and the sums so far, to resume."""
        return {"initial": self.initial, "steps": dict(self.steps), "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.initial, self.steps, self._sums = state["initial"], dict(state["steps"]), dict(state["sums"])
