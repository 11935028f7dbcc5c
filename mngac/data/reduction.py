"""Images made smaller by averaging squares of pixels: a ball about the large one becomes a known one of the small."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1024


def averaged(images: Tensor, factor: int) -> Tensor:
    """Each square of factor x factor pixels as its mean, rounded half up, which is what Pillow's `Image.reduce` gives.

    But for rounding, averages of images that lie within r of each other in l_inf, l_2 or l_1 lie within r, r / factor
    or r / factor^2.

    Args:
        images: uint8 (n, channels, height, width).
        factor: a divisor of height and width.

    Returns:
        uint8 (n, channels, height / factor, width / factor).

    Raises:
        ValueError: where the factor divides them not.
    """
    n, channels, height, width = images.shape
    if height % factor or width % factor:
        raise ValueError(f"found {factor}, images of {width}x{height} pixels; allowed: a divisor of both")
    small = images.new_empty(n, channels, height // factor, width // factor)
    for first in range(0, n, BLOCK):
        block = images[first : first + BLOCK]
        squares = block.reshape(-1, channels, height // factor, factor, width // factor, factor)
        small[first : first + BLOCK] = (squares.sum((3, 5), dtype=torch.int32) + factor**2 // 2) // factor**2
    return small
