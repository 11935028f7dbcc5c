"""Batches made on the device: the images live there as uint8, are drawn, cropped and flipped there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.data.store import Part
from mngac.streams import stream


def to_unit(images: Tensor) -> Tensor:
    """uint8 images -> float32 in [0, 1], in the memory order that convolutions like."""
    return images.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)


def crop(images: Tensor, pad: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Each image, zero-padded by `pad`, cut at its own offset 0 .. 2 pad: RandomCrop for given offsets."""
    batch, channels, height, width = images.shape
    padded = F.pad(images, (pad, pad, pad, pad))
    row = rows[:, None, None, None] + torch.arange(height, device=images.device)[None, None, :, None]
    column = columns[:, None, None, None] + torch.arange(width, device=images.device)[None, None, None, :]
    index = torch.arange(batch, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[index, channel, row, column]


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """The chosen images (bool, (batch,)) mirrored left to right."""
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


@dataclass
class Batches:
    """An endless row of full batches over one part, each a pure function of (seed, step).

    The order is the concatenation of one permutation a pass, so that every image is seen once a pass whatever the
    batch size.
    """

    part: Part
    batch_size: int
    seed: int
    name: str
    device: str
    augment: tuple[str, ...] = ()
    pad: int = 0

    def __post_init__(self) -> None:
        self.images = self.part.images.to(self.device)
        self.labels = self.part.labels.to(self.device)
        self._orders: dict[int, Tensor] = {}

    @property
    def steps(self) -> int:
        """Batches until every image was seen once."""
        return math.ceil(len(self.part) / self.batch_size)

    def indices(self, step: int) -> Tensor:
        """Positions of the images of a step: (batch_size,)."""
        first, count = step * self.batch_size, len(self.part)
        passes = range(first // count, (first + self.batch_size - 1) // count + 1)
        self._orders = {p: self._orders[p] if p in self._orders else self._order(p) for p in passes}
        joined = torch.cat([self._orders[p] for p in passes])
        offset = first - passes[0] * count
        return joined[offset : offset + self.batch_size]

    def _order(self, number: int) -> Tensor:
        order = torch.randperm(len(self.part), generator=stream(self.seed, "batch order", self.name, number))
        return order.to(self.device)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] (batch, channels, height, width), labels (batch,)."""
        index = self.indices(step)
        images = self.images[index]
        draws = stream(self.seed, "augment", self.name, step, device=self.device)
        if "crop" in self.augment:
            rows, columns = torch.randint(2 * self.pad + 1, (2, len(index)), generator=draws, device=self.device)
            images = crop(images, self.pad, rows, columns)
        if "flip" in self.augment:
            images = flip(images, torch.rand(len(index), generator=draws, device=self.device) < 0.5)
        return to_unit(images), self.labels[index]
