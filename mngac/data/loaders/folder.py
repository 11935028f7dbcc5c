"""folder: any train/<class>/*, test/<class>/* tree of PNG or JPEG images, or a tar or zip file of one.

Class order is the sorted names of the class folders; images are sorted by path. One folder may stand around the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from mngac.data import trees
from mngac.data.archives import Entry
from mngac.data.images import SUFFIXES, Decoder
from mngac.data.store import RawData
from mngac.data.workspace import Workspace, check_classes
from mngac.params.errors import DataError, cut, listed
from mngac.params.sections import DataConfig

PARTS = ("train", "test")


def load(config: DataConfig, workspace: Workspace) -> RawData:
    """The tree of `config.source`, resized to `config.size` where that is stated.

    Raises:
        DataError: for what is wrong in it: an unreadable image, mixed sizes or channels, a class that a part lacks or
            that is too small to hold anything out.
    """
    source, left_out = workspace.stated_source(config), set[str]()

    def noted(entry: Entry) -> tuple[str, str] | None:
        place = locate(entry)
        if place is None and entry.name.lower().endswith(SUFFIXES) and "__MACOSX" not in entry.name:
            left_out.add(str(PurePosixPath(entry.name).parent))
        return place

    splits = trees.read(source, noted, Decoder(config.size), workspace.log)
    if left_out:
        workspace.log.line(f"{source}: left out, hidden or not in train or test: {listed(sorted(left_out))}")
    for part in PARTS:
        if part not in splits:
            where = f"data.{workspace.name}.source: {source}"
            raise DataError(f"{where}: no {part}/<class>/ with PNG or JPEG images in it; put them there")
    _check_one_tree(source, [name for part in PARTS for name in splits[part].names])
    counts = {part: trees.numbers(splits[part]) for part in PARTS}
    classes = sorted(counts["train"])
    _check_counts(source, counts, config.drawn_parts)
    check_classes(source, classes, config.classes, workspace.name)
    return RawData(*splits["train"].tensors(classes), *splits["test"].tensors(classes), classes, grouped=True)


def locate(entry: Entry) -> tuple[str, str] | None:
    """Part and class of an image.

    Raises:
        DataError: for a file in the tree that is no image, or stands too deep or too high in it.
    """
    parts = PurePosixPath(entry.name).parts
    part = next((p for p in parts[:2] if p in PARTS), None)
    if part is None or trees.is_hidden(entry.name):
        return None
    inside = parts[parts.index(part) + 1 :]
    if len(inside) != 2:
        raise DataError(f"{entry.place}: images stand in {part}/<class>/; move or remove it")
    if not inside[1].lower().endswith(SUFFIXES):
        raise DataError(f"{entry.place}: no PNG or JPEG file by its name; convert or remove it")
    return part, inside[0]


def _check_one_tree(source: str, names: Sequence[str]) -> None:
    """Refuses a second folder around a tree, whose images would be mixed with the first one's."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    trees_found = sorted({"" if top in PARTS else f"{top}/" for top in tops})
    if len(trees_found) > 1:
        found = ", ".join(f"{top}{part}" for top in trees_found for part in PARTS)
        raise DataError(f"{source}: found {cut(found)}; allowed: one tree; name it as the source, or put them together")


def _check_counts(source: str, counts: dict[str, dict[str, int]], least: int) -> None:
    for part, other in (PARTS, PARTS[::-1]):
        for name in sorted(set(counts[other]) - set(counts[part])):
            raise DataError(
                f"{source}: class {name!r} has no images in {part}/{name}; add some, or remove {other}/{name}"
            )
    for name, count in counts["train"].items():
        if count < least:
            raise DataError(
                f"{source}: train/{name} holds {count} images, at least {least} are needed, one for each part; "
                "add some, or remove the class"
            )
