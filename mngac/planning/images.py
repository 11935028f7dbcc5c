"""How many images of what shape a data set has: read from its tensor file where there is one, else known of its source.

A folder, a loader or a pool of one's own is not known before its tensor file is made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mngac.params.errors import UserError
from mngac.params.sections import DataConfig

SPLITS = ("train", "validation", "unlabelled", "test")
BESIDE = 16
"""Bytes that a tensor file keeps of an image beside its pixels: label and index."""


@dataclass(frozen=True)
class Images:
    """Images of each split, their shape, and how many classes."""

    train: int
    validation: int
    unlabelled: int
    test: int
    channels: int
    size: int
    classes: int

    @property
    def bytes(self) -> int:
        """Of the tensor file, without its header."""
        count = self.train + self.validation + self.unlabelled + self.test
        return count * (self.channels * self.size**2 + BESIDE)

    def split(self, name: str) -> int:
        """Images of a split."""
        return int(getattr(self, name))


@dataclass(frozen=True)
class Source:
    """What a loader gives, before anything is held out."""

    train: int
    test: int
    channels: int
    size: int
    classes: int
    extra: int = 0
    """Images of `unlabelled: extra`."""


DIGITS = Source(899, 898, 1, 8, 10)
CIFAR10 = Source(50_000, 10_000, 3, 32, 10)
SVHN = Source(73_257, 26_032, 3, 32, 10, extra=531_131)
TINY_IMAGENET = Source(500, 50, 3, 64, 1)
"""Of a class: an archive may hold fewer than 200."""
SOURCES = {"digits": DIGITS, "cifar10": CIFAR10, "svhn": SVHN, "tiny_imagenet": TINY_IMAGENET}
"""By file of mngac/data/loaders."""


def foretold(config: DataConfig) -> Images | None:
    """The images that an entry of `data` will have; None where that is not known."""
    source = SOURCES.get(config.loader)
    if source is None or (isinstance(config.unlabelled, str) and config.unlabelled != "extra"):
        return None
    times = (config.classes or 200) if config.loader == "tiny_imagenet" else 1
    count = source.train * times
    validation = round(config.validation * count)
    share = 0 if isinstance(config.unlabelled, str) else round(config.unlabelled * count)
    return Images(
        train=min(count - validation - share, config.train_images or count),
        validation=validation,
        unlabelled=source.extra if isinstance(config.unlabelled, str) else share,
        test=min(source.test * times, config.test_images or source.test * times),
        channels=source.channels,
        size=source.size // (config.reduce or 1),
        classes=source.classes * times,
    )


def read(path: Path) -> Images:
    """The images of a data set's tensor file, by its header.

    Raises:
        UserError: for a file that is no such tensor file.
    """
    from safetensors import SafetensorError, safe_open

    again, wanted = "delete it and run the data stage again", {name: f"{name}.images" for name in SPLITS}
    try:
        with safe_open(path, framework="numpy") as file:
            classes = len(json.loads((file.metadata() or {})["mngac"])["classes"])
            shapes = {name: file.get_slice(tensor).get_shape() for name, tensor in wanted.items()}
        _, channels, size, _ = shapes["test"]
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no tensor file of a data set; {again}") from error
    return Images(**{name: shape[0] for name, shape in shapes.items()}, channels=channels, size=size, classes=classes)
