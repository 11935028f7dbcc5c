"""Additional training images with labels, generated or pseudo-labelled elsewhere: an .npz file, memory-mapped.

Its form is that of the images which diffusion models generated for adversarial training (Wang et al. 2023, arXiv
2302.04638): `image` uint8 (n, height, width, channels), `label` integers (n,).
"""

from __future__ import annotations

import math
import shutil
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mngac.data.arrays import header
from mngac.data.store import Split
from mngac.params.errors import DataError, cut
from mngac.pipeline.files import demand, explained, refuse_html

IMAGES, LABELS = "image", "label"
FORM = f"an .npz file with {IMAGES} uint8 (n, height, width, channels) and {LABELS} integers (n,)"


def read_additional(source: str, shape: Sequence[int], classes: int, scratch: Path) -> Split:
    """The file's images and labels; the images stay in the file until they are asked for.

    Args:
        source: path of the file. What numpy.savez_compressed wrote is unpacked first.
        shape: channels, height and width of the data set.
        classes: of the data set.
        scratch: a folder to unpack to.

    Raises:
        DataError: for a file of another form, images of another shape, or labels of other classes.
    """
    path = demand(source)
    refuse_html(path)
    try:
        with explained(path), zipfile.ZipFile(path) as archive:
            channels, height, width = shape
            images = _images(archive, path, (height, width, channels), scratch)
            labels = _labels(archive, path, classes)
    except DataError:
        raise
    except Exception as error:  # rubbish raises anything
        raise DataError(f"{path}: not readable ({cut(str(error))}); allowed: {FORM}") from error
    if len(images) != len(labels) or not len(labels):
        found = f"{len(images):,} images and {len(labels):,} labels"
        raise DataError(f"{path}: found {found}; allowed: as many of both, at least one")
    return Split(images, labels, torch.arange(len(labels)))


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    found = {info.filename: info for info in archive.infolist()}
    if f"{name}.npy" not in found:
        raise DataError(f"{path}: found no {name}; allowed: {FORM}")
    return found[f"{name}.npy"]


def _images(archive: zipfile.ZipFile, path: Path, shape: tuple[int, ...], scratch: Path) -> Tensor:
    info = _member(archive, path, IMAGES)
    file, start = path, 0
    if info.compress_type == zipfile.ZIP_STORED:
        with archive.open(info):  # which looks at the local head, whose length the offset needs
            start = _start(path, info)
    else:
        file = scratch / "additional.npy"
        with archive.open(info) as packed, open(file, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    with open(file, "rb") as content:
        content.seek(start)
        found, dtype = header(content, f"{path}: {IMAGES}")
        first = content.tell()
    if dtype != np.uint8 or len(found) != 4 or found[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise DataError(f"{path}: {IMAGES}: found {dtype} {found}; allowed: uint8 (n, {wanted}), as the data set's")
    if not found[0] or first + math.prod(found) > start + info.file_size:
        raise DataError(f"{path}: {IMAGES}: ends too early, or holds nothing; get it again")
    # Not to be written: of what may be, a system promises no more than it has memory.
    mapped = np.memmap(file, dtype=np.uint8, mode="r", offset=first, shape=found)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes
        return torch.from_numpy(mapped).permute(0, 3, 1, 2)


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is stored as it is begin: behind its local head, a name and extra fields."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        sizes = np.frombuffer(file.read(4), "<u2")
    return info.header_offset + 30 + int(sizes.sum())


def _labels(archive: zipfile.ZipFile, path: Path, classes: int) -> Tensor:
    place = f"{path}: {LABELS}"
    with archive.open(_member(archive, path, LABELS)) as file:
        shape, dtype = header(file, place)
        if len(shape) != 1 or dtype.kind not in "iu":
            raise DataError(f"{place}: found {dtype} {shape}; allowed: integers (n,)")
        labels = np.frombuffer(file.read(), dtype)
    if len(labels) != shape[0]:
        raise DataError(f"{place}: ends too early; get it again")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise DataError(f"{place}: found {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}, its classes")
    return torch.from_numpy(labels.astype(np.int64))
