"""The first step that goes wrong: kept on the device, and read where the host waits for the device anyway."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mngac.params.errors import UserError

NEVER = torch.iinfo(torch.int64).max


class BadStepError(UserError):
    """One line on the step at which a training stopped being one: a loss or weights that are not finite."""


def finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether every number of some tensors, at least one, is finite: a bool on their device."""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


class FirstBad:
    """The first step whose loss is not finite.

    Args:
        device: of the losses.
    """

    def __init__(self, device: str):
        self._number = torch.full((), NEVER, dtype=torch.int64, device=device)

    def note(self, number: int, loss: Tensor) -> None:
        """Looks at the loss of a step, a scalar; the host does not wait for it."""
        self._number.masked_fill_(~loss.isfinite() & (self._number == NEVER), number)

    def read(self, weights: Iterable[Tensor]) -> tuple[int | None, bool]:
        """The step, None where there is none yet, and whether the weights are finite; the host waits once.

        Weights can be lost in a step whose loss is finite, which the next step's would show, were there one.
        """
        number, whole = torch.stack([self._number, finite(weights).long()]).tolist()
        return None if number == NEVER else number, bool(whole)
