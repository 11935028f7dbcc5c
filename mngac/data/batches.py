"""Batches made on the device: the images live there as uint8, are drawn, cropped and flipped there.

Images are (batch, channels, height, width) to the reader and channels_last in memory: a row of a crop is then one run
of bytes, which makes a crop a copy of rows, and no image is turned again on its way to the classifier.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.data.pixels import to_unit
from mngac.data.store import Split
from mngac.streams import stream

ROOM = 0.5


def crop(images: Tensor, pad: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Each image, zero-padded by `pad`, cut at its own offset 0 .. 2 pad: RandomCrop for given offsets.

    Args:
        images: (batch, channels, height, width).
        pad: pixels added on each side.
        rows: first row of each cut in the padded image, int64 (batch,).
        columns: first column, int64 (batch,).

    Returns:
        Images of the same shape.
    """
    batch, channels, height, width = images.shape
    wide = width + 2 * pad
    padded = images.new_zeros(batch, height + 2 * pad, wide, channels)
    padded[:, pad : pad + height, pad : pad + width] = images.permute(0, 2, 3, 1)
    # A row of a crop is `width * channels` neighbouring bytes of the padded batch. `runs` lists every such row, each
    # one pixel further than the last and overlapping it, as a view: nothing is copied until index_select takes the
    # rows that were drawn, and that one call serves the whole batch, with no loop over images and no index a pixel.
    pixels = padded.numel() // channels
    runs = padded.view(-1).as_strided((pixels - width + 1, width * channels), (channels, 1))
    first = torch.arange(batch, device=images.device) * (height + 2 * pad) + rows
    starts = (first[:, None] + torch.arange(height, device=images.device)) * wide + columns[:, None]
    return runs.index_select(0, starts.view(-1)).view(batch, height, width, channels).permute(0, 3, 1, 2)


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """The chosen images (bool, (batch,)) mirrored left to right."""
    rows = images.permute(0, 2, 3, 1)
    both = torch.cat([rows, rows.flip(2)])
    index = torch.arange(len(images), device=images.device)
    return both.index_select(0, index + len(images) * chosen).permute(0, 3, 1, 2)


def free_memory(device: str) -> int | None:
    """Bytes free on a CUDA device; None on the CPU, where the images are already."""
    return torch.cuda.mem_get_info()[0] if device.startswith("cuda") else None


@dataclass
class Batches:
    """An endless row of full batches over one split, each a pure function of (seed, step).

    The order is the concatenation of one permutation a pass, so that every image is seen once a pass whatever the
    batch size. Images that would fill more than half of the device's free memory stay in the host's, pinned, or in
    their file, and each batch is copied.
    """

    split: Split
    batch_size: int
    seed: int
    name: str
    device: str
    augment: tuple[str, ...] = ()
    pad: int = 0
    free: int | None = None
    """Bytes free on the device; None: asked of it."""
    mapped: bool = False
    """Whether the images stand in a file that is mapped into memory: pinned, all of them would have to be read."""

    def __post_init__(self) -> None:
        self.home = self._home()
        self.images = self.split.images.to(self.home).contiguous(memory_format=torch.channels_last)
        self.labels = self.split.labels.to(self.home)
        if self.home != self.device and torch.cuda.is_available():
            self.images = self.images if self.mapped else self.images.pin_memory()
            self.labels = self.labels.pin_memory()
        self._orders: dict[int, Tensor] = {}

    def _home(self) -> str:
        """Where the images stay: the device, or `cpu` with a warning."""
        free = free_memory(self.device) if self.free is None else self.free
        needed = self.split.images.numel()
        if free is None or needed <= ROOM * free:
            return self.device
        warnings.warn(
            f"{self.name}: {needed / 1e9:.2f} GB of images, {free / 1e9:.2f} GB free on {self.device}; they stay in "
            f"{'their file' if self.mapped else 'pinned host memory'} and each batch is copied, which is slower",
            stacklevel=3,
        )
        return "cpu"

    @property
    def steps(self) -> int:
        """Batches until every image was seen once."""
        return math.ceil(len(self.split) / self.batch_size)

    def indices(self, step: int) -> Tensor:
        """Positions of the images of a step: (batch_size,)."""
        first, count = step * self.batch_size, len(self.split)
        passes = range(first // count, (first + self.batch_size - 1) // count + 1)
        self._orders = {p: self._orders[p] if p in self._orders else self._order(p) for p in passes}
        joined = torch.cat([self._orders[p] for p in passes]) if len(passes) > 1 else self._orders[passes[0]]
        offset = first - passes[0] * count
        return joined[offset : offset + self.batch_size]

    def sources(self, step: int) -> list[int]:
        """Indices of a step's images in their source's split."""
        return self.split.index[self.indices(step).cpu()].tolist()

    def _order(self, number: int) -> Tensor:
        order = torch.randperm(len(self.split), generator=stream(self.seed, "batch order", self.name, number))
        return order.to(self.home)

    def _drawn(self, step: int) -> tuple[Tensor, Tensor]:
        """uint8 images and labels of a step, on the device."""
        index = self.indices(step)
        images = self.images.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
        labels = self.labels.index_select(0, index)
        return self._to_device(images), self._to_device(labels)

    def _to_device(self, drawn: Tensor) -> Tensor:
        """A copy that the host does not wait for, as it would from memory that is not pinned; nothing at home."""
        if self.home != self.device and torch.cuda.is_available():
            drawn = drawn.pin_memory()
        return drawn.to(self.device, non_blocking=True)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] (batch, channels, height, width), labels (batch,)."""
        images, labels = self._drawn(step)
        draws = stream(self.seed, "augment", self.name, step, device=self.device)
        if "crop" in self.augment:
            rows, columns = torch.randint(2 * self.pad + 1, (2, len(images)), generator=draws, device=self.device)
            images = crop(images, self.pad, rows, columns)
        if "flip" in self.augment:
            images = flip(images, torch.rand(len(images), generator=draws, device=self.device) < 0.5)
        return to_unit(images), labels
