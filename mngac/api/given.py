"""What callers give from Python, checked: one line where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

import torch
from torch import Tensor

from mngac.params.errors import UserError, shown


def device_of(device: object) -> str:
    """The device as text.

    Raises:
        UserError: for one that torch does not know, or that is not here.
    """
    try:
        torch.empty(0, device=torch.device(device))  # type: ignore[call-overload]
    except (RuntimeError, TypeError, AssertionError):
        here = "cpu, cuda" if torch.cuda.is_available() else "cpu, since no CUDA device is here"
        raise UserError(f"device: found {shown(str(device))}; allowed: {here}") from None
    return str(device)


def whole(name: str, value: object, least: int) -> int:
    """A whole number from `least` on.

    Raises:
        UserError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UserError(f"{name}: found {shown(value)}; allowed: a whole number from {least}")
    return int(value)


def mapping(name: str, value: object, example: str) -> dict[str, object]:
    """A mapping as a dictionary of its own.

    Raises:
        UserError: for anything else.
    """
    if not isinstance(value, Mapping):
        raise UserError(f"{name}: found {shown(value)}; allowed: a mapping, such as {example}")
    return dict(value)


def pair(name: str, value: object) -> tuple[Tensor, Tensor]:
    """Images and labels.

    Raises:
        UserError: for anything else than two of them.
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise UserError(f"{name}: found {type(value).__name__}; allowed: two tensors, (images, labels)")
    return value[0], value[1]
