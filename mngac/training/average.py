"""Averaged weights: an exponential moving average of a classifier over its steps, running statistics with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(classifier: nn.Module, decay: float) -> AveragedModel:
    """A classifier's average, a copy of it at first; `update_parameters(classifier)` after each step moves it.

    It keeps min(decay, (1 + t) / (10 + t)) of itself at its step t: early weights do not stay in the average of a short
    training. Numbers that are no floats, such as counts of batches, are the classifier's own. The host waits for no
    device.

    Args:
        classifier: neither compiled nor with hooks of this training, since all of it is copied.
        decay: the most that is kept at a step, between 0 and 1.
    """

    @torch.no_grad()
    def move(averages: Sequence[Tensor], currents: Sequence[Tensor], steps: Tensor | int) -> None:
        if not averages[0].is_floating_point():
            for average, current in zip(averages, currents, strict=True):
                average.copy_(current)
            return
        taken = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))(averages, currents, steps)

    return AveragedModel(classifier, multi_avg_fn=move, use_buffers=True)
