"""Thresholds of sorted coordinates, without sorting where the host may look at numbers between two passes.

What is projected on an l_1 ball is lowered by one threshold a row; an l_1 step moves the coordinates above another. On
a card, or in a compiled pass, a look would cost a wait: there one sort finds them. Tensors are (batch, coordinates).
"""

from __future__ import annotations

import torch
from torch import Tensor

SETTLED = 1e-12
"""Change of a threshold, as a share of the row's largest coordinate, that is rounding of float64."""


def looks_are_free(values: Tensor) -> bool:
    """Whether a number can be read back without waiting for a device or breaking a compiled pass."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def nth_largest(values: Tensor, place: Tensor) -> Tensor:
    """Of each row the value at its own place, int64 (batch, 1), 0 for the largest: (batch, 1)."""
    most = int(place.max()) + 1 if looks_are_free(values) else values.shape[1]
    return values.topk(most, dim=1).values.gather(1, place)


# ---------------------------------------------------------------- the ball


def ball_threshold(size: Tensor, radius: float) -> Tensor:
    """What sizes must be lowered by for those left above zero to add up to the radius.

    Args:
        size: absolute values.
        radius: of the l_1 ball.

    Returns:
        float64 (batch, 1), differentiable; zero for rows inside.
    """
    with torch.no_grad():
        kept = (_kept_by_climbing if looks_are_free(size) else _kept_by_sorting)(size, radius)
    excess = (size * kept).sum(1, keepdim=True, dtype=torch.float64) - radius
    return (excess / kept.sum(1, keepdim=True).clamp_min(1)).clamp_min(0)


def _kept_by_climbing(size: Tensor, radius: float) -> Tensor:
    """Which coordinates lie above the threshold, bool (batch, coordinates), in a few passes over them.

    Lowering all by what they exceed the radius by, divided by their number, leaves some at zero; so do it again for
    the others (Michelot 1986). The threshold only rises, and it is reached when it no longer does.
    """
    theta = torch.zeros(len(size), 1, dtype=torch.float64)
    while True:
        kept = size > theta  # in float64: rounded to the sizes' type, a threshold can reach the largest of them
        excess = (size * kept).sum(1, keepdim=True, dtype=torch.float64) - radius
        higher = excess / kept.sum(1, keepdim=True).clamp_min(1)
        if not bool((higher > theta).any()):
            return kept
        theta = torch.maximum(theta, higher)


def _kept_by_sorting(size: Tensor, radius: float) -> Tensor:
    """The same without reading back: sorted, each number of coordinates is a prefix, and one sum tries them all."""
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1, dtype=torch.float64) - radius
    counts = torch.arange(1, size.shape[1] + 1, device=size.device, dtype=torch.float64)
    last = (ordered * counts > excess).sum(1, keepdim=True).clamp_min(1)
    return size >= ordered.gather(1, last - 1)


# ---------------------------------------------------------------- ball and box


def box_threshold(size: Tensor, slack: Tensor, radius: float) -> Tensor:
    """What sizes must be lowered by for min(max(size - theta, 0), slack) to add up to the radius.

    Args:
        size: absolute values, float64.
        slack: how far each may be from zero, float64.
        radius: of the l_1 ball.

    Returns:
        float64 (batch, 1); zero for rows inside.
    """
    return (_threshold_by_newton if looks_are_free(size) else _threshold_by_sorting)(size, slack, radius)


def _threshold_by_newton(size: Tensor, slack: Tensor, radius: float) -> Tensor:
    """By Newton's steps on the sum, which falls linearly between the sizes and the sizes less slack.

    Within the right piece a step is exact. One that leaves the interval in which the threshold must lie is replaced by
    that interval's middle. A row that has settled stays, however long others take.
    """
    full = size - slack
    largest = size.amax(1, keepdim=True)
    theta = low = torch.zeros_like(largest)
    high = largest
    while True:
        excess = torch.minimum((size - theta).clamp_min_(0), slack).sum(1, keepdim=True) - radius
        falling = torch.count_nonzero((size > theta) & (full <= theta), dim=1).view(-1, 1)
        step = (theta + excess / falling).clamp_min(0)
        # Rows that are not finite are settled, too, and those whose sum jumps where no number lies between.
        settled = ~((step - theta).abs() > SETTLED * largest) | (high - low <= SETTLED * largest)
        if bool(settled.all()):
            return theta
        low, high = torch.where(excess > 0, theta, low), torch.where(excess < 0, theta, high)
        step = torch.where((low < step) & (step < high), step, (low + high) / 2)
        theta = torch.where(settled, theta, step)


def _threshold_by_sorting(size: Tensor, slack: Tensor, radius: float) -> Tensor:
    """The same without reading back."""
    # As theta falls, a coordinate starts to count at its size and is full at its size less slack: the sum is piecewise
    # linear, with slope +1 at the first event and -1 at the second. Sorting the 2 d events gives the sum at each by
    # cumulative sums, and theta by linear interpolation inside the one segment where the sum passes the radius.
    levels = torch.cat([size, (size - slack).clamp_min(0)], 1)
    changes = torch.cat([torch.ones_like(size), -torch.ones_like(size)], 1)
    levels, order = levels.sort(dim=1, descending=True)
    active = changes.gather(1, order).cumsum(1)
    gaps = levels - torch.cat([levels[:, 1:], torch.zeros_like(levels[:, :1])], 1)
    reached = (active * gaps).cumsum(1)
    inside = reached[:, -1:] <= radius
    segment = (reached < radius).sum(1, keepdim=True).clamp_max(levels.shape[1] - 1)
    rise = active.gather(1, segment)
    below = reached.gather(1, segment) - rise * gaps.gather(1, segment)
    theta = levels.gather(1, segment) - (radius - below) / rise.clamp_min(1)
    return torch.where(inside, torch.zeros_like(theta), theta).clamp_min(0)
