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

from mngac.params.errors import DataError
from mngac.pipeline.files import demand, refuse_html

ARRAYS = {
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Numpy arrays in plain containers, and nothing else."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """The class or function, where an array needs it.

        Raises:
            pickle.UnpicklingError: for anything else.
        """
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are admitted")
        return super().find_class(module, name)


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
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: found {found}; allowed: {wanted}")
    images, labels = np.asarray(content["data"]), np.asarray(content["extrapolated_targets"])
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


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return ArrayUnpickler(file).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ValueError, IndexError, TypeError, KeyError) as error:
        raise DataError(f"{path}: no pickle of arrays: {error}; only numpy arrays are read from pickles") from error
