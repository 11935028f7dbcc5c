"""Images as they are kept, uint8, and as classifiers take them."""

from __future__ import annotations

import torch
from torch import Tensor


def to_unit(images: Tensor) -> Tensor:
    """uint8 images -> float32 in [0, 1], in the memory order that convolutions like."""
    return images.contiguous(memory_format=torch.channels_last).to(torch.float32).div_(255)


def as_unit(images: Tensor) -> Tensor:
    """Images of either form, uint8 or in [0, 1] already -> float32 in [0, 1]."""
    return to_unit(images) if images.dtype == torch.uint8 else images.float()
