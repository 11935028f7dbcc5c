"""What stands between a block's convolutions: ReLU, or softplus as in the released classifiers of E-AT and RAMP."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]
SUFFIX = "_softplus"
"""Behind a model's name: softplus in its blocks; before pooling ReLU stays, as in that code."""


def relu(x: Tensor) -> Tensor:
    """max(x, 0), in place."""
    return F.relu(x, inplace=True)


def named(model: str) -> tuple[str, Activation]:
    """A model's name without the suffix, and what it says: softplus with beta 1, log(1 + exp(x)), else ReLU."""
    base = model.removesuffix(SUFFIX)
    return base, relu if base == model else F.softplus
