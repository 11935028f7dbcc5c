"""Memory format of images and weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def laid_out(tensor: Tensor, layout: str = "channels_last") -> Tensor:
    """Images or a convolution's weight (a, b, height, width) in a memory format; other tensors as they are."""
    if tensor.dim() != 4:
        return tensor
    # Strides are compared, not `is_contiguous`: a tensor of one channel counts as being in any format already, and a
    # weight's strides decide the format of what the convolution returns.
    wanted = torch.empty_like(tensor, memory_format=FORMATS[layout])
    return tensor if tensor.stride() == wanted.stride() else wanted.copy_(tensor)


def lay_out(classifier: nn.Module, layout: str = "channels_last") -> None:
    """Puts all weights of a classifier into a memory format."""
    for weight in classifier.parameters():
        weight.data = laid_out(weight.data, layout)
