"""A tree of image files -> tensors: which file is which image is the loader's to say, the reading is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mngac.data.archives import Entry, entries
from mngac.data.images import MOST_BYTES, Decoder, Stack
from mngac.params.errors import DataError
from mngac.pipeline.progress import Log


@dataclass
class TreeSplit:
    """The images of one split of a tree, with the path and the label's name of each."""

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    stack: Stack = field(default_factory=Stack)

    def tensors(self, classes: list[str]) -> tuple[Tensor, Tensor]:
        """Images and labels int64, sorted by path, whatever the order in which they came; empties the split."""
        order = np.array(sorted(range(len(self.names)), key=self.names.__getitem__))
        number = {name: i for i, name in enumerate(classes)}
        labels = torch.tensor([number[self.labels[i]] for i in order])
        return self.stack.ordered(order), labels


Locate = Callable[[Entry], tuple[str, str] | None]


def read(source: str, locate: Locate, decoder: Decoder, log: Log) -> dict[str, TreeSplit]:
    """All images of a folder or archive, in one pass and without anything on disk.

    Args:
        source: folder, tar or zip.
        locate: entry -> (part, label's name), or None for a file that is no image of the data set.
        decoder: what an image must be like.
        log: where progress is shown.

    Raises:
        DataError: for a broken source or image, with its name, or a path that stands twice in an archive.
    """
    splits: dict[str, TreeSplit] = {}
    seen: set[str] = set()
    with log.bar(0, 0, " images") as bar:
        for entry in entries(source):
            place = locate(entry)
            if place is None:
                continue
            if entry.name in seen:
                raise DataError(f"{entry.place}: stands twice in the archive; pack it anew")
            seen.add(entry.name)
            part, label = place
            split = splits.setdefault(part, TreeSplit())
            split.stack.add(decoder(entry.place, entry.read(MOST_BYTES)))
            split.names.append(entry.name)
            split.labels.append(label)
            bar.update()
    return splits


def numbers(split: TreeSplit) -> dict[str, int]:
    """Images of each class."""
    names, counts = np.unique(np.array(split.labels), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def is_hidden(name: str) -> bool:
    """Whether a path is a system's own: `.DS_Store`, `__MACOSX/...`."""
    return any(part.startswith((".", "__MACOSX")) for part in Path(name).parts)
