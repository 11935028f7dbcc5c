"""svhn: 73,257 + 26,032 images 3x32x32 of house number digits, and 531,131 extra ones (Netzer et al. 2011).

torchvision's reader, addresses and checksums; digit 0 has label 0. `unlabelled: extra` makes the extra images the
unlabelled pool.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import SVHN

from mngac.data.store import RawData
from mngac.data.workspace import Published, Workspace
from mngac.params.sections import DataConfig

CHUNK = 4096


def load(config: DataConfig, workspace: Workspace) -> RawData:
    """SVHN from a download, or from a folder or archive of the .mat files.

    Raises:
        DataError: for a source that does not hold the official files.
    """
    names = ("train", "test", "extra") if config.unlabelled == "extra" else ("train", "test")
    published = [Published(*SVHN.split_list[name]) for name in names]
    folder = workspace.official(config, published, {p.name: p.md5 for p in published}, "")
    parts = [_tensors(SVHN(folder, split=name)) for name in names]
    pool = parts[2] if len(parts) > 2 else None
    return RawData(*parts[0], *parts[1], [str(digit) for digit in range(10)], pool=pool)


def _tensors(part: SVHN) -> tuple[Tensor, Tensor]:
    """The file's memory, columns before rows, turned in place: the extra images are there once."""
    images = part.data.transpose(0, 1, 3, 2)
    if not images.flags.c_contiguous or not images.flags.writeable:
        images = np.array(images, order="C")
    for first in range(0, len(images), CHUNK):
        images[first : first + CHUNK] = images[first : first + CHUNK].transpose(0, 1, 3, 2).copy()
    return torch.from_numpy(images), torch.from_numpy(part.labels)
