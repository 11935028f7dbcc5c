"""An unlabelled pool of the user's own: a folder or archive of images, a .npy file of them, or a pickle with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mngac.data import trees
from mngac.data.archives import Entry
from mngac.data.images import SUFFIXES, Decoder
from mngac.data.pickles import read_pickle
from mngac.data.store import UNKNOWN
from mngac.params.errors import DataError, cut
from mngac.pipeline.files import demand, explained, refuse_html
from mngac.pipeline.progress import Log


def read_pool(source: str, shape: Sequence[int], classes: int, size: int | None, log: Log) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, channels, height, width), and labels: those of a pickle, else -1.

    Args:
        source: folder, tar or zip with PNG or JPEG images at any depth, or .npy of uint8 (n, height, width, channels),
            or the pickle of Carmon et al. (.pickle, .pkl).
        shape: channels, height and width of the data set.
        classes: of the data set.
        size: what images are resized to; None: they must have the shape.
        log: where progress is shown.

    Raises:
        DataError: for images of another shape, or a source without images.
    """
    if source.endswith((".pickle", ".pkl")):
        return read_pickle(source, shape, classes)
    if source.endswith(".npy"):
        images = _read_array(source, shape)
    else:
        decoder = Decoder(size, rgb=shape[0] == 3, first="the training set", shape=tuple(shape))
        splits = trees.read(source, _locate, decoder, log)
        if not splits:
            raise DataError(f"{source}: no PNG or JPEG images in it; put them there, or correct the path")
        images, _ = splits["unlabelled"].tensors([""])
    return images, torch.full((len(images),), UNKNOWN)


def _locate(entry: Entry) -> tuple[str, str] | None:
    hidden = trees.is_hidden(entry.name) or not entry.name.lower().endswith(SUFFIXES)
    return None if hidden else ("unlabelled", "")


def _read_array(source: str, shape: Sequence[int]) -> Tensor:
    path = demand(source)
    refuse_html(path)
    try:
        with explained(path):
            array = np.lib.format.open_memmap(path, mode="r")  # which reads no objects, and no zip files
    except DataError:
        raise
    except Exception as error:  # rubbish raises anything, since the head is an expression of Python's
        why = cut(str(error))
        raise DataError(f"{path}: no whole .npy file of numbers ({why}); write it anew with numpy.save") from error
    wanted = (*shape[1:], shape[0])
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != wanted:
        raise DataError(f"{path}: {array.dtype} {array.shape}; allowed: uint8 (n, {', '.join(map(str, wanted))})")
    return torch.from_numpy(np.array(array.transpose(0, 3, 1, 2), order="C"))
