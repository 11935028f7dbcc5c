"""Pseudo-labelled images as Carmon et al. (2019) publish them: a pickle of `data` and `extrapolated_targets`.

A pickle can run anything. This reader admits numpy arrays, and what they are made of, alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from mngac.params.errors import DataError, cut, listed
from mngac.pipeline.files import demand, explained, refuse_html

ARRAYS = {
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
BYTES = ("_codecs", "encode")
"""What old protocols ask for to turn text into an array's bytes."""


class ArrayUnpickler(pickle.Unpickler):
    """Numpy arrays in plain containers, and nothing else."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """The class or function, where an array needs it.

        Raises:
            pickle.UnpicklingError: for anything else.
        """
        if (module, name) == BYTES:
            return _latin1
        if (module, name) not in ARRAYS:
            raise _Refused(f"{module}.{name}")
        return super().find_class(module, name)


class _Refused(pickle.UnpicklingError):
    """The name of what a pickle asks for, and is not given."""


def _latin1(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


def read_pickle(source: str, shape: Sequence[int], classes: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, channels, height, width) and labels int64 (n,).

    Args:
        source: a pickle of {"data": uint8 (n, height, width, channels), "extrapolated_targets": int (n,)}.
        shape: channels, height and width of the data set.
        classes: number of classes; labels lie in 0 .. classes - 1.

    Raises:
        DataError: for a file of another content, or one that asks for more than arrays.
    """
    path = demand(source)
    refuse_html(path)
    content = _load(path)
    wanted = "a pickle of data (uint8) and extrapolated_targets (integers)"
    if not isinstance(content, dict) or not {"data", "extrapolated_targets"} <= set(content):
        found = listed(content) or "nothing" if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: found {found}; allowed: {wanted}")
    images, labels = (_array(path, key, content[key]) for key in ("data", "extrapolated_targets"))
    form = (*shape[1:], shape[0])
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != form:
        raise DataError(
            f"{path}: data is {images.dtype} {images.shape}; allowed: uint8 (n, {', '.join(map(str, form))})"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(f"{path}: extrapolated_targets is {labels.dtype} {labels.shape}; allowed: ({len(images)},)")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise DataError(f"{path}: labels {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}")
    ordered = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return ordered, torch.from_numpy(labels.astype(np.int64))


def _array(path: Path, key: str, value: object) -> np.ndarray:
    """An array, or a list of numbers as one."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{path}: {key}: no array ({cut(str(error))}); allowed: an array of numbers") from error


def _load(path: Path) -> Any:
    try:
        with explained(path), path.open("rb") as file:
            return ArrayUnpickler(file).load()
    except DataError:
        raise
    except _Refused as error:
        what = f"a pickle with code or other objects ({cut(str(error))}), which is not run; only numpy arrays are read"
        raise DataError(f"{path}: {what}; save data and extrapolated_targets as arrays, or images as .npy") from error
    except Exception as error:  # rubbish raises anything
        why = cut(f"{type(error).__name__}: {error}")
        raise DataError(f"{path}: no pickle of arrays ({why}); get it again, or save images as .npy") from error
