"""Image files -> uint8 arrays of one shape, and many of them -> one tensor."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mngac.params.errors import DataError, cut

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MODES = {"L": 1, "RGB": 3}
BLOCK = 1024
MOST_PIXELS = 1 << 26
"""Of one image, width times height."""
SMALLER = f"allowed: {MOST_PIXELS:,} pixels at most; make it smaller or remove it"
MOST_BYTES = 1 << 28
"""Of an image's file."""


@dataclass
class Decoder:
    """Decodes PNG and JPEG to (channels, height, width), height = width, and holds all to the shape of the first.

    Args:
        size: height and width that images are resized to (bilinear, antialiased); None: they must be alike and square.
        rgb: turns grey images into three equal channels; otherwise they must have as many channels as the first.
    """

    size: int | None = None
    rgb: bool = False
    first: str = ""
    shape: tuple[int, ...] = ()

    def __call__(self, place: str, content: bytes) -> np.ndarray:
        """One image.

        Raises:
            DataError: for a file that is no PNG or JPEG or is cut short, an image not square or unlike the first.
        """
        array = self._array(place, content)
        if not self.shape:
            self.first, self.shape = place, self._square(place, array)
        if array.shape[0] != self.shape[0]:
            raise DataError(
                f"{place}: {array.shape[0]} channels, but {self.first} has {self.shape[0]}; convert all to RGB or all "
                "to grey"
            )
        if array.shape != self.shape:
            size, wanted = (f"{w}x{h}" for _, h, w in (array.shape, self.shape))
            raise DataError(
                f"{place}: {size} pixels, but {self.first} has {wanted}; make them alike, or state a size to resize to"
            )
        return array

    def _opened(self, place: str, content: bytes) -> Image.Image:
        try:
            with warnings.catch_warnings(action="ignore"):  # on sizes, which are looked at here, and on its colours
                image = Image.open(io.BytesIO(content), formats=FORMATS)
                self._check(place, image)
                image.load()
        except DataError:
            raise
        except Image.DecompressionBombError as error:
            raise DataError(f"{place}: vast; {SMALLER}") from error
        except Exception as error:  # rubbish raises anything
            why = cut(str(error).replace(" <_io.BytesIO object", "").split(" at 0x")[0])
            raise DataError(f"{place}: not a readable PNG or JPEG ({why}); replace or remove it") from error
        return image

    def _check(self, place: str, image: Image.Image) -> None:
        """Looks at what the file's head says, before any pixel is decoded."""
        if image.width * image.height > MOST_PIXELS:
            found = f"{image.width}x{image.height} pixels"
            raise DataError(f"{place}: {found}; {SMALLER}")
        count = getattr(image, "n_frames", 1)
        if count != 1:
            raise DataError(f"{place}: an animation or several images ({count}); allowed: one; save it as one image")

    def _square(self, place: str, array: np.ndarray) -> tuple[int, ...]:
        _, height, width = array.shape
        if height != width:
            raise DataError(
                f"{place}: {width}x{height} pixels, but classifiers take square images; state a size to resize to, "
                f"such as {min(height, width)}"
            )
        return array.shape

    def _array(self, place: str, content: bytes) -> np.ndarray:
        image = self._opened(place, content)
        if self.rgb and image.mode != "RGB":
            image = image.convert("RGB")
        if image.mode not in MODES:
            raise DataError(f"{place}: pixels of mode {image.mode}; allowed: RGB or L (grey); convert it")
        if self.size and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@dataclass
class Stack:
    """Images of one shape, collected in blocks and put in order at the end.

    Blocks go as they are copied, so the peak is at most twice the images.
    """

    count: int = 0
    blocks: list[np.ndarray] = field(default_factory=list)

    def add(self, image: np.ndarray) -> None:
        """Appends an image uint8 (channels, height, width)."""
        place = self.count % BLOCK
        if not place:
            self.blocks.append(np.empty((BLOCK, *image.shape), dtype=np.uint8))
        self.blocks[-1][place] = image
        self.count += 1

    def ordered(self, order: np.ndarray) -> Tensor:
        """The images in the order of their positions, uint8 (n, channels, height, width); the stack is empty then."""
        target = np.empty(self.count, dtype=np.int64)
        target[order] = np.arange(self.count)
        images = np.empty((self.count, *self.blocks[0].shape[1:]), dtype=np.uint8)
        for number, first in enumerate(range(0, self.count, BLOCK)):
            places = target[first : first + BLOCK]
            images[places] = self.blocks[number][: len(places)]
            self.blocks[number] = np.empty(0, dtype=np.uint8)
        self.count, self.blocks = 0, []
        return torch.from_numpy(images)
