"""cifar10: 50,000 + 10,000 images 3x32x32 of ten classes (Krizhevsky 2009), in the official order.

torchvision's reader, address and checksums. The files are pickles: none is read before its MD5 is the published one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.datasets import CIFAR10

from mngac.data.store import RawData
from mngac.data.workspace import Published, Workspace
from mngac.params.sections import DataConfig


def load(config: DataConfig, workspace: Workspace) -> RawData:
    """CIFAR-10 from a download, the official archive, or the folder cifar-10-batches-py.

    Raises:
        DataError: for a source that does not hold the official files.
    """
    files = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    files[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    archive = Published(CIFAR10.url, CIFAR10.filename, CIFAR10.tgz_md5)
    folder = workspace.official(config, [archive], files, CIFAR10.base_folder)
    reader = type("Here", (CIFAR10,), {"base_folder": folder.name})
    train, test = (reader(folder.parent, train=part) for part in (True, False))
    return RawData(*_tensors(train), *_tensors(test), list(train.classes))


def _tensors(part: CIFAR10) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets)
