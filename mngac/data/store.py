"""The tensor file of a data set: parts train, validation, unlabelled and test, as uint8 images and labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mngac.artifacts import atomic
from mngac.data.sources import DataError, explained

SCHEMA = "1"
PARTS = ("train", "validation", "unlabelled", "test")
FIELDS = ("labels", "index", "images")
DTYPES = {torch.int64: "I64", torch.uint8: "U8"}


@dataclass(frozen=True)
class Part:
    """Images uint8 (n, channels, height, width), labels int64 (n,), and their indices in the source's split."""

    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class RawData:
    """What a loader gives: the source's own training and test images, before anything is held out.

    `ordered` says that neighbours belong together (one writer, one scene), so held-out parts must be contiguous.
    `grouped` says that the images of a class stand together, so the first n of a part would be no fair sample.
    `pool` is an unlabelled part that the source brings along.
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

    parts: dict[str, Part]
    classes: list[str]
    digest: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return tuple(self.parts["test"].images.shape[1:])

    def part(self, name: str) -> Part:
        """A part.

        Raises:
            DataError: where the part has no images.
        """
        if not len(self.parts[name]):
            raise DataError(f"the data set has no {name} images; give it a share in params.yaml")
        return self.parts[name]


def _bytes(tensor: Tensor) -> memoryview | bytes:
    return tensor.contiguous().numpy().reshape(-1).view("u1").data if tensor.numel() else b""


def digest_of(parts: dict[str, Part]) -> str:
    """SHA-256 over images and labels of all parts."""
    digest = hashlib.sha256()
    for name in PARTS:
        digest.update(name.encode())
        for tensor in (parts[name].images, parts[name].labels, parts[name].index):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def save(path: str | Path, parts: dict[str, Part], classes: list[str]) -> None:
    """Writes the tensor file atomically, without a copy of the tensors in memory.

    Raises:
        DataError: where there is no room or no permission; nothing is left then.
    """
    about = {"schema": SCHEMA, "classes": json.dumps(classes), "digest": digest_of(parts)}
    tensors = {f"{name}.{field}": getattr(parts[name], field) for field in FIELDS for name in PARTS}
    with explained(path), atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(_header(tensors, about))
        for tensor in tensors.values():
            file.write(_bytes(tensor))


def _header(tensors: dict[str, Tensor], about: dict[str, str]) -> bytes:
    """The head of a safetensors file: its length, then JSON, padded so that 8-byte numbers stand on 8 bytes."""
    content: dict[str, Any] = {"__metadata__": about}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        content[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def load(path: str | Path, verify: bool = True) -> DataSet:
    """Reads a tensor file by memory map.

    Args:
        path: the file.
        verify: compare its content with the digest that it carries; reads everything once.

    Raises:
        DataError: for a file of another schema, or one that is not what was written.
    """
    again = "delete it and run the data stage again"
    try:
        about, tensors = _read(path)
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole tensor file ({error}); {again}") from error
    if about.get("schema") != SCHEMA:
        raise DataError(f"{path}: schema {about.get('schema')!r}; this version reads schema {SCHEMA}")
    parts = {name: Part(*(tensors(f"{name}.{field}") for field in ("images", "labels", "index"))) for name in PARTS}
    if verify and digest_of(parts) != about["digest"]:
        raise DataError(f"{path}: its content is not what was written; {again}")
    return DataSet(parts, json.loads(about["classes"]), about["digest"])


def _read(path: str | Path) -> tuple[dict[str, str], Callable[[str], Tensor]]:
    with safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return file.metadata() or {}, found.__getitem__


def empty_like(images: Tensor) -> Part:
    """A part without images."""
    none = torch.zeros(0, dtype=torch.int64)
    return Part(images[:0], none, none)
