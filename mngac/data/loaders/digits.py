"""digits: scikit-learn's 1,797 real 8x8 images of handwritten digits, embedded in the package.

First half train, second half test: the file groups writers, so a random split would leak them.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from mngac.data.store import RawData
from mngac.data.workspace import Workspace
from mngac.params.errors import DataError
from mngac.params.sections import DataConfig

LEVELS = 16


def load(config: DataConfig, workspace: Workspace) -> RawData:
    """The digits; pixel values 0 to 16 become 0 to 255.

    Raises:
        DataError: where a source is given: there is none to give.
    """
    if config.source is not None:
        raise DataError(
            f"data.{workspace.name}.source: found {config.source!r}; allowed: null, the images are embedded"
        )
    content = load_digits()
    pixels = np.rint(content.images * 255 / LEVELS).astype(np.uint8)
    images = torch.from_numpy(pixels)[:, None]
    labels = torch.from_numpy(content.target.astype(np.int64))
    half = (len(images) + 1) // 2
    names = [str(name) for name in content.target_names]
    return RawData(images[:half], labels[:half], images[half:], labels[half:], names, ordered=True)
