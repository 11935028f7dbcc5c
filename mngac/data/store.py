"""The tensor file of a data set: splits train, validation, unlabelled and test, as uint8 images and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mngac import tensors
from mngac.params.errors import DataError
from mngac.pipeline.files import explained

SPLITS = ("train", "validation", "unlabelled", "test")
FIELDS = ("images", "labels", "index")
UNKNOWN = -1
"""Label of an image that has none."""


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, channels, height, width), labels int64 (n,), and their indices in the source's split."""

    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class RawData:
    """What a loader gives: the source's own training and test images, before anything is held out.

    `ordered` says that neighbours belong together (one writer, one scene), so held-out splits must be contiguous.
    `grouped` says that the images of a class stand together, so the first n of a split would be no fair sample.
    `pool` is an unlabelled split that the source brings along.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: list[str]
    ordered: bool = False
    grouped: bool = False
    pool: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set in memory."""

    splits: dict[str, Split]
    classes: list[str]
    digest: str
    held_out: str = ""
    """What of the source's training images is not trained on, in words."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return tuple(self.splits["test"].images.shape[1:])

    def split(self, name: str) -> Split:
        """A split.

        Raises:
            DataError: where the split has no images.
        """
        if name not in self.splits or not len(self.splits[name]):
            raise DataError(f"the data set has no {name} images; give it a share in params.yaml")
        return self.splits[name]

    def images_of(self, name: str) -> tuple[Tensor, Tensor]:
        """Images uint8 (n, channels, height, width) and labels int64 (n,) of a split, as `mngac.evaluate` takes them.

        Raises:
            DataError: where the split has no images.
        """
        return self.split(name).images, self.split(name).labels


def digest_of(splits: dict[str, Split]) -> str:
    """SHA-256 over images and labels of all splits."""
    digest = hashlib.sha256()
    for name in SPLITS:
        digest.update(name.encode())
        for field in FIELDS:
            tensor = getattr(splits[name], field)
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().reshape(-1).view("u1").data)
    return digest.hexdigest()


def save(path: str | Path, splits: dict[str, Split], classes: list[str], held_out: str = "") -> None:
    """Writes the tensor file atomically, from the memory that the tensors have.

    Args:
        path: of the file.
        splits: all four.
        classes: names of the classes.
        held_out: what of the source's training images is not trained on, in words.

    Raises:
        UserError: where there is no room or no permission; nothing is left then.
    """
    content = {f"{name}.{field}": getattr(split, field) for name, split in splits.items() for field in FIELDS}
    with explained(path):
        tensors.write(path, content, classes=classes, digest=digest_of(splits), held_out=held_out)


def load(path: str | Path, verify: bool = True) -> DataSet:
    """Reads a tensor file by memory map.

    Args:
        path: the file.
        verify: compare its content with the digest that it carries; reads everything once.

    Raises:
        UserError: for a file of another schema.
        DataError: for one that is missing, or not what was written.
    """
    again = "delete it and run the data stage again"
    try:
        content, about = tensors.read(path)
    except FileNotFoundError:
        raise DataError(f"{path}: not found; allowed: a file that `mngac data` wrote") from None
    wrong = _wrong(content, about)
    if wrong:
        raise DataError(f"{path}: no tensor file of a data set ({wrong}); {again}")
    splits = {name: Split(*(content[f"{name}.{field}"] for field in FIELDS)) for name in SPLITS}
    if verify and digest_of(splits) != about["digest"]:
        raise DataError(f"{path}: its content is not what was written; {again}")
    return DataSet(splits, about["classes"], about["digest"], about.get("held_out", ""))


def _wrong(content: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """What makes tensors and facts none of a data set, in a few words; empty where they are one."""
    texts = [about.get("digest"), about.get("held_out", "")]
    classes = about.get("classes")
    if not isinstance(classes, list) or not all(isinstance(text, str) for text in (*classes, *texts)):
        return "it does not say its classes, digest and held_out"
    missing = [name for split in SPLITS for field in FIELDS if (name := f"{split}.{field}") not in content]
    if missing:
        return f"{missing[0]}: missing"
    shape = content["test.images"].shape[1:]
    for split in SPLITS:
        images, labels, index = (content[f"{split}.{field}"] for field in FIELDS)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != shape or 0 in shape:
            return f"{split}.images: {images.dtype} {tuple(images.shape)}"
        if not all(t.dtype == torch.int64 and t.shape == images.shape[:1] for t in (labels, index)):
            return f"{split}: labels or indices do not fit the images"
        if len(labels) and not UNKNOWN <= labels.min() <= labels.max() < len(classes):
            return f"{split}.labels: {labels.min()} to {labels.max()} of {len(classes)} classes"
    return ""


def empty_like(images: Tensor) -> Split:
    """A split without images."""
    none = torch.zeros(0, dtype=torch.int64)
    return Split(images[:0], none, none)
