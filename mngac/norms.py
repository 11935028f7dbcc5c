"""What each norm supplies: a random start, an ascent step, projections, and generated noise put into the ball.

Images lie in [0, 1]; radii and step sizes are lengths in the norm. All functions work per image, in float32, and
wait for no device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.l1_thresholds import ball_threshold, box_threshold
from mngac.shapes import Images, PerImage

TINY = 1e-12


def _norms(delta: Tensor, p: float) -> Tensor:
    return torch.linalg.vector_norm(delta.flatten(1), p, dim=1)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))


# ---------------------------------------------------------------- l_inf


def linf_start(x: Images, radius: float, generator: torch.Generator) -> Images:
    """Uniform in the l_inf ball."""
    return radius * (2 * torch.rand(x.shape, device=x.device, generator=generator) - 1)


def linf_ascend(gradient: Images, step_size: float, top: int) -> Images:
    """Steepest ascent in l_inf: the sign of the gradient."""
    return step_size * gradient.sign()


def linf_project(delta: Images, radius: float) -> Images:
    """Euclidean projection on the l_inf ball."""
    return delta.clamp(-radius, radius)


# ---------------------------------------------------------------- l_2


def l2_start(x: Images, radius: float, generator: torch.Generator) -> Images:
    """Uniform in the l_2 ball: a Gaussian direction, radius x U^(1/d)."""
    direction = torch.randn(x.shape, device=x.device, generator=generator)
    share = torch.rand(len(x), device=x.device, generator=generator) ** (1 / x[0].numel())
    return direction * _per_image(radius * share / _norms(direction, 2).clamp_min(TINY), x)


def l2_ascend(gradient: Images, step_size: float, top: int) -> Images:
    """Steepest ascent in l_2: the normalised gradient; zero where the gradient is."""
    return gradient * _per_image(step_size / _norms(gradient, 2).clamp_min(TINY), gradient)


def l2_project(delta: Images, radius: float) -> Images:
    """Euclidean projection on the l_2 ball."""
    return delta / _per_image((_norms(delta, 2) / radius).clamp_min(1), delta)


# ---------------------------------------------------------------- l_1


def l1_start(x: Images, radius: float, generator: torch.Generator) -> Images:
    """Uniform in the l_1 ball: signed exponentials E_i / (E_1 + .. + E_{d+1}) x radius."""
    count = x[0].numel()
    draws = torch.empty(len(x), count + 1, device=x.device).exponential_(generator=generator)
    signs = 2 * torch.randint(0, 2, (len(x), count), device=x.device, generator=generator) - 1
    return (radius * signs * draws[:, :count] / draws.sum(1, keepdim=True)).view(x.shape)


def l1_ascend(gradient: Images, step_size: float, top: int) -> Images:
    """The sign of the gradient on its `top` largest coordinates, divided by their number (Maini et al. 2020)."""
    flat = gradient.flatten(1)
    index = flat.abs().topk(min(top, flat.shape[1]), dim=1).indices
    step = torch.zeros_like(flat).scatter(1, index, flat.gather(1, index).sign())
    return (step_size / index.shape[1] * step).view(gradient.shape)


def l1_project(delta: Images, radius: float) -> Images:
    """Euclidean projection on the l_1 ball, exact and differentiable; rows inside stay as they are.

    Soft thresholding (Duchi et al. 2008); sums run in float64, so that the threshold of 12,288 float32 coordinates is
    exact to float32.
    """
    flat = delta.flatten(1)
    size = flat.abs()
    lowered = (size - ball_threshold(size, radius)).clamp_min(0)
    return (flat.sign() * lowered.to(flat.dtype)).view(delta.shape)


def l1_box_project(x: Images, delta: Images, radius: float) -> Images:
    """Euclidean projection of delta on {‖delta‖_1 <= radius, 0 <= x + delta <= 1}, exact.

    Each coordinate is min(max(|d| - theta, 0), slack) (Croce and Hein 2021, proposition 2.1); in float64.
    """
    flat, box = delta.flatten(1).double(), x.flatten(1).double()
    size, slack = flat.abs(), torch.where(flat > 0, 1 - box, box)
    lowered = (size - box_threshold(size, slack, radius)).clamp_min(0)
    return (flat.sign() * torch.minimum(lowered, slack)).to(delta.dtype).view(delta.shape)


# ---------------------------------------------------------------- generated noise


def linf_add_noise(x: Images, noise: Images, radius: float) -> Images:
    """x_aug: noise clamped to the radius, then to the pixel range."""
    return (x + linf_project(noise, radius)).clamp(0, 1)


def l1_add_noise(x: Images, noise: Images, radius: float) -> Images:
    """x_aug: noise projected on the l_1 ball, then clipped to the pixel range."""
    return (x + l1_project(noise, radius)).clamp(0, 1)


def l2_add_noise(x: Images, noise: Images, radius: float) -> Images:
    """x_aug = clip(x + eta d), eta scaled up or down so that ‖x_aug - x‖_2 = radius; differentiable in the noise.

    Coordinate i stops at its slack r_i once eta reaches r_i / |d_i|; between two such levels the squared length is
    S + eta^2 D with S the slacks used up and D the squares still free (Rauber and Bethge 2020). Where even all slacks
    together are shorter than the radius, all are used up.
    """
    flat, box = noise.flatten(1), x.flatten(1)
    slack = torch.where(flat >= 0, 1 - box, box)
    # Sorted by the eta at which they stop, coordinates before a level are used up and those after it are free, so a
    # prefix sum and a suffix sum give the length at every level, and eta has a closed form within a segment.
    levels, order = (slack / flat.abs().clamp_min(TINY)).sort(dim=1)
    free = (flat**2).gather(1, order)
    used = (slack**2).gather(1, order)
    free_after = free.flip(1).cumsum(1).flip(1)
    used_before = torch.cat([torch.zeros_like(used[:, :1]), used.cumsum(1)[:, :-1]], 1)
    length = used_before + levels**2 * free_after
    segment = (length < radius**2).sum(1, keepdim=True).clamp_max(flat.shape[1] - 1)
    rest = (radius**2 - used_before.gather(1, segment)).clamp_min(TINY)
    eta = (rest / free_after.gather(1, segment).clamp_min(TINY)).sqrt()
    return (box + eta * flat).clamp(0, 1).view(x.shape)


@dataclass(frozen=True)
class Lp:
    """One norm's parts.

    `start(x, radius, generator)`, `ascend(gradient, step_size, top)` and `project(delta, radius)` give perturbations;
    `add_noise(x, noise, radius)` gives an image in [0, 1] whose distance from x is at most the radius.
    """

    name: str
    p: float
    start: Callable[[Tensor, float, torch.Generator], Tensor]
    ascend: Callable[[Tensor, float, int], Tensor]
    project: Callable[[Tensor, float], Tensor]
    add_noise: Callable[[Tensor, Tensor, float], Tensor]

    def size(self, delta: Images) -> PerImage:
        """The norm of each perturbation."""
        return _norms(delta, self.p)

    def to_ball(self, x: Images, delta: Images, radius: float) -> Images:
        """Projects on the ball, then clips to the slack of x in [0, 1]; clipping only shrinks, so the ball holds."""
        return torch.minimum(torch.maximum(self.project(delta, radius), -x), 1 - x)


LP = {
    "linf": Lp("linf", math.inf, linf_start, linf_ascend, linf_project, linf_add_noise),
    "l1": Lp("l1", 1, l1_start, l1_ascend, l1_project, l1_add_noise),
    "l2": Lp("l2", 2, l2_start, l2_ascend, l2_project, l2_add_noise),
}
