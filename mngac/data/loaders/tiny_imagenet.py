"""tiny_imagenet: 200 classes of ImageNet at 3x64x64, 500 + 50 images each (Stanford CS231n), from the official archive.

Class order is the sorted names in wnids.txt. The labelled val/ images are the test part, by val_annotations.txt; the
archive's test/ images have no labels and are left out. Grey images become RGB.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from mngac.data import trees
from mngac.data.archives import Entry
from mngac.data.images import SUFFIXES, Decoder
from mngac.data.store import RawData
from mngac.data.workspace import Published, Workspace, check_classes
from mngac.params.errors import DataError
from mngac.params.sections import DataConfig

ARCHIVE = Published(
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip", "tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"
)
MOST_TEXT = 1 << 24
"""Bytes of a text."""
TEXTS = ("wnids.txt", "val_annotations.txt")


def load(config: DataConfig, workspace: Workspace) -> RawData:
    """Tiny-ImageNet from a download, an archive in the official layout, or an extracted folder.

    Raises:
        DataError: for a source of another layout, or where the class count is not `config.classes`.
    """
    source = str(workspace.fetched(ARCHIVE)) if config.source is None else workspace.stated_source(config)
    layout = Layout()
    splits = trees.read(source, layout.locate, Decoder(rgb=True), workspace.log)
    for part in ("train", "val"):
        if part not in splits:
            raise DataError(f"{source}: no {part}/ images in it, so it is not in Tiny-ImageNet's official layout")
    classes = layout.classes(source)
    check_classes(source, classes, config.classes, workspace.name)
    splits["val"].labels = layout.annotated(source, splits["val"].labels)
    _check_labels(source, splits, classes)
    return RawData(*splits["train"].tensors(classes), *splits["val"].tensors(classes), classes, grouped=True)


class Layout:
    """The official tree: train/<wnid>/images/*, val/images/*, and the two texts that name classes and val's labels."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def locate(self, entry: Entry) -> tuple[str, str] | None:
        """train and the class, or val and the file's name; keeps the texts."""
        parts = PurePosixPath(entry.name).parts
        if parts[-1] in TEXTS:
            self.texts[parts[-1]] = entry.read(MOST_TEXT).decode(errors="replace")
        if trees.is_hidden(entry.name) or not parts[-1].lower().endswith(SUFFIXES):
            return None
        if len(parts) >= 4 and parts[-4] == "train" and parts[-2] == "images":
            return "train", parts[-3]
        if len(parts) >= 3 and parts[-3] == "val" and parts[-2] == "images":
            return "val", parts[-1]
        return None

    def classes(self, source: str) -> list[str]:
        """Sorted class names.

        Raises:
            DataError: without wnids.txt.
        """
        return sorted(set(self._text(source, TEXTS[0]).split()))

    def annotated(self, source: str, names: list[str]) -> list[str]:
        """The class of each val image.

        Raises:
            DataError: for an image without an annotation.
        """
        lines = [line.split() for line in self._text(source, TEXTS[1]).splitlines() if line.strip()]
        known = {line[0]: line[1] for line in lines if len(line) > 1}
        for name in names:
            if name not in known:
                raise DataError(f"{source}: val/images/{name} does not stand in {TEXTS[1]}; get the archive again")
        return [known[name] for name in names]

    def _text(self, source: str, name: str) -> str:
        if name not in self.texts:
            raise DataError(f"{source}: no {name} in it, so it is not in Tiny-ImageNet's official layout")
        return self.texts[name]


def _check_labels(source: str, splits: dict[str, trees.TreeSplit], classes: list[str]) -> None:
    for part, split in splits.items():
        for name in sorted(set(split.labels) ^ set(classes)):
            what = "is not in wnids.txt" if name in split.labels else f"has no images in {part}/"
            raise DataError(f"{source}: class {name} {what}; get the archive again")
