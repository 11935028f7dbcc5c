"""The tensor file of a data set: splits train, validation, unlabelled and test, as uint8 images and labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from mngac import tensors
from mngac.params.errors import DataError
from mngac.pipeline.files import explained

SPLITS = ("train", "validation", "unlabelled", "test")
FIELDS = ("images", "labels", "index")


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
        if not len(self.splits[name]):
            raise DataError(f"the data set has no {name} images; give it a share in params.yaml")
        return self.splits[name]


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
        DataError: where there is no room or no permission; nothing is left then.
    """
    content = {f"{name}.{field}": getattr(split, field) for name, split in splits.items() for field in FIELDS}
    try:
        with explained(path):
            tensors.write(path, content, classes=classes, digest=digest_of(splits), held_out=held_out)
    except SafetensorError as error:
        raise DataError(f"{path}: {error}; free space or choose another place, then run again") from error


def load(path: str | Path, verify: bool = True) -> DataSet:
    """Reads a tensor file by memory map.

    Args:
        path: the file.
        verify: compare its content with the digest that it carries; reads everything once.

    Raises:
        UserError: for a file of another schema.
        DataError: for one that is not what was written.
    """
    again = "delete it and run the data stage again"
    try:
        content, about = tensors.read(path)
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole tensor file ({error}); {again}") from error
    splits = {name: Split(*(content[f"{name}.{field}"] for field in FIELDS)) for name in SPLITS}
    if verify and digest_of(splits) != about["digest"]:
        raise DataError(f"{path}: its content is not what was written; {again}")
    return DataSet(splits, about["classes"], about["digest"], about.get("held_out", ""))


def empty_like(images: Tensor) -> Split:
    """A split without images."""
    none = torch.zeros(0, dtype=torch.int64)
    return Split(images[:0], none, none)
