"""An archive of corrupted images in CIFAR-10-C's form, read one corruption at one severity at a time.

`<corruption>.npy`: uint8 (5 m, height, width, channels), m images in the same order at severity 1, then at 2, up to 5;
`labels.npy`: integers (5 m,). A tar or zip file, or the folder extracted from it; nothing in it is unpickled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np
import torch
from torch import Tensor

from mngac.data.archives import entries
from mngac.data.arrays import header
from mngac.params.errors import DataError

SEVERITIES = 5


class Corrupted:
    """The archive, its form checked.

    Args:
        source: path of the archive.
        corruptions: names that it must hold.
        shape: channels, height and width of the data set's images.
        classes: number of the data set's classes.

    Raises:
        DataError: one line, where it is of another form, or made for other images.
    """

    def __init__(self, source: str, corruptions: Sequence[str], shape: tuple[int, int, int], classes: int):
        self.source, self.shape = source, shape
        self.labels = self._labels(classes)
        for name in corruptions:
            self._read(name, 0, 0)

    @property
    def images(self) -> int:
        """At each severity."""
        return len(self.labels) // SEVERITIES

    def read(self, name: str, severity: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (m, channels, height, width) of a corruption at a severity from 1; labels int64 (m,)."""
        first = (severity - 1) * self.images
        rows = self._read(name, first, self.images)
        return torch.from_numpy(rows).permute(0, 3, 1, 2), self.labels[first : first + self.images]

    def _read(self, name: str, first: int, count: int) -> np.ndarray:
        """Some rows of a corruption."""
        channels, height, width = self.shape
        wanted = (len(self.labels), height, width, channels)
        with self._opened(name) as (file, place):
            shape, dtype = header(file, place)
            if (shape, dtype) != (wanted, np.uint8):
                allowed = f"uint8 {wanted}, as many as labels, of the data set's size"
                raise DataError(f"{place}: found {dtype} {shape}; allowed: {allowed}")
            return _rows(file, place, first, count, wanted[1:], np.dtype(np.uint8))

    def _labels(self, classes: int) -> Tensor:
        with self._opened("labels") as (file, place):
            shape, dtype = header(file, place)
            if len(shape) != 1 or dtype.kind not in "iu" or not shape[0] or shape[0] % SEVERITIES:
                allowed = f"integers (5 m,), for m images at {SEVERITIES} severities"
                raise DataError(f"{place}: found {dtype} {shape}; allowed: {allowed}")
            labels = torch.from_numpy(_rows(file, place, 0, shape[0], (), dtype).astype(np.int64))
        if labels.min() < 0 or labels.max() >= classes:
            found = f"labels {labels.min()} to {labels.max()}"
            raise DataError(f"{place}: found {found}; allowed: 0 to {classes - 1}, the data set's classes")
        return labels

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], str]]:
        """A .npy file of the archive, and where it is."""
        for entry in entries(self.source):
            if f"/{entry.name}".endswith(f"/{name}.npy"):
                with entry.reading() as file:
                    yield file, entry.place
                return
        raise DataError(f"{self.source}: found no {name}.npy; allowed: an archive of CIFAR-10-C's form that has it")


def _rows(file: IO[bytes], place: str, first: int, count: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Rows of an array whose header was just read."""
    row = math.prod(shape) * dtype.itemsize
    file.seek(first * row, 1)
    content = file.read(count * row)
    if len(content) < count * row:
        raise DataError(f"{place}: ends too early; get it again")
    return np.frombuffer(bytearray(content), dtype).reshape(count, *shape)
