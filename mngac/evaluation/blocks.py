"""Batches of an evaluation: what is left of a block of images is packed anew within it, so that blocks can be shared.

Some attacks depend on which images share a batch (pyautoattack's draw by batch, a classifier rounds by its batch's
size). With blocks, that is a matter of the block alone, whoever attacks the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.params.sections import Suite


@dataclass(frozen=True)
class Batch:
    """Positions of images that are attacked together, a name for them, and the block they lie in."""

    name: str
    positions: list[int]
    block: tuple[int, int]
    """Its first position, and the one after its last."""


def batches(chosen: Tensor, suite: Suite) -> Iterator[Batch]:
    """The chosen images in batches that never lead out of a block.

    Args:
        chosen: bool (n,), of all images of the evaluation.
        suite: its `batch_size` and `block`; without a block all images are one.
    """
    n = len(chosen)
    size = suite.block or n
    for first in range(0, n, size):
        last = min(first + size, n)
        left = first + chosen[first:last].nonzero().flatten()
        for k, positions in enumerate(left.split(suite.batch_size) if len(left) else ()):
            yield Batch(f"{first // size}.{k}" if suite.block else str(k), positions.tolist(), (first, last))


def in_block(n: int, suite: Suite, number: int) -> Tensor:
    """Which of n images lie in a block, counted from 0: bool (n,)."""
    return torch.arange(n) // (suite.block or n) == number
