"""The data stage: loader -> held-out splits -> tensor file."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mngac.data.pool import read_pool
from mngac.data.reduction import averaged
from mngac.data.store import RawData, Split, empty_like, save
from mngac.data.workspace import Workspace
from mngac.params.errors import DataError
from mngac.params.registry import find
from mngac.params.sections import DataConfig
from mngac.pipeline.cache import Cache
from mngac.pipeline.jobs import Context
from mngac.pipeline.progress import Log
from mngac.streams import stream


def held_out(labels: Tensor, shares: tuple[float, ...], ordered: bool) -> list[Tensor]:
    """Indices of the splits that the shares state, and of the rest as the first: none twice.

    Ordered sources are cut from the end in contiguous runs; others are drawn class by class from a seeded stream, and
    every run of a split's indices has about the classes' shares.

    Args:
        labels: int64 (n,).
        shares: of the n images, in [0, 1), one a split beside the first; their sum below 1.
        ordered: whether neighbours belong together.

    Returns:
        int64 (count,) a split: first what is left, then one for each share.
    """
    counts = [round(share * len(labels)) for share in shares]
    order = torch.arange(len(labels)) if ordered else _stratified(labels)
    rest = len(labels) - sum(counts)
    return list(order.split([rest, *counts]))


def _stratified(labels: Tensor) -> Tensor:
    """An order in which every contiguous run has about the classes' shares."""
    shuffled = torch.randperm(len(labels), generator=stream(0, "held out"))
    # Each class is spread evenly over (0, 1), and all are sorted together: any run then holds every class in its share,
    # to within one image, so that "the first n" is a fair sample for every n.
    place = torch.zeros(len(labels), dtype=torch.float64)
    for label in labels.unique():
        mine = shuffled[labels[shuffled] == label]
        place[mine] = (torch.arange(len(mine), dtype=torch.float64) + 0.5) / len(mine)
    return shuffled[place[shuffled].argsort(stable=True)]


def divide(raw: RawData, validation: float, unlabelled: float) -> dict[str, Split]:
    """The four splits. An unlabelled pool of the source's own is used whole; otherwise a share of train becomes it.

    Parts keep the source's order, but for a grouped source, whose held-out and test splits are mixed so that their
    first n images are a fair sample. The training order does not matter: batches are drawn.
    """
    share = 0.0 if raw.pool else unlabelled
    rest, pool, chosen = held_out(raw.train_labels, (share, validation), raw.ordered)
    tested = _stratified(raw.test_labels) if raw.grouped else torch.arange(len(raw.test_labels))
    if not raw.grouped:
        pool, chosen = pool.sort().values, chosen.sort().values
    splits = {
        "train": _split(raw.train_images, raw.train_labels, rest.sort().values),
        "validation": _split(raw.train_images, raw.train_labels, chosen),
        "unlabelled": _split(raw.train_images, raw.train_labels, pool),
        "test": _split(raw.test_images, raw.test_labels, tested),
    }
    if raw.pool:
        splits["unlabelled"] = Split(*raw.pool, torch.arange(len(raw.pool[0])))
    return {name: split if len(split) else empty_like(raw.test_images) for name, split in splits.items()}


def _split(images: Tensor, labels: Tensor, index: Tensor) -> Split:
    """The images at the indices; all of them in their order are no copy."""
    if len(index) == len(images) and torch.equal(index, torch.arange(len(images))):
        return Split(images, labels, index)
    return Split(images[index], labels[index], index)


def limited(splits: dict[str, Split], train: int | None, test: int | None, ordered: bool) -> dict[str, Split]:
    """Fewer training and test images: drawn class by class, the first ones where order matters."""
    return {**splits, "train": _fewer(splits["train"], train, ordered), "test": _fewer(splits["test"], test, ordered)}


def _fewer(split: Split, count: int | None, ordered: bool) -> Split:
    if count is None or count >= len(split):
        return split
    keep = torch.arange(count) if ordered else _stratified(split.labels)[:count]
    return Split(split.images[keep], split.labels[keep], split.index[keep])


def prepare(name: str, source: DataConfig, path: str | Path, scratch: Path, log: Log) -> dict[str, Split]:
    """Loads a data set, holds splits out and writes its tensor file; the splits.

    Args:
        name: of the data set.
        source: where its images come from.
        path: the tensor file.
        scratch: a folder for what a loader unpacks.
        log: where progress is shown.

    Raises:
        DataError: one line on what is wrong with the source; no file is left then.
    """
    load = find("data/loaders", source.loader).load()
    raw = load(source, Workspace(name, log, Cache().root / "downloads", scratch))
    if isinstance(source.unlabelled, str) and raw.pool is None:
        raw = replace(
            raw, pool=read_pool(source.unlabelled, raw.train_images.shape[1:], len(raw.classes), source.size, log)
        )
    share = 0.0 if isinstance(source.unlabelled, str) else source.unlabelled
    splits = divide(raw, source.validation, share)
    ordered, classes = raw.ordered, raw.classes
    del raw
    splits = limited(splits, source.train_images, source.test_images, ordered)
    if source.reduce:
        splits = {part: _reduced(name, split, source.reduce) for part, split in splits.items()}
    if not len(splits["train"]):
        raise DataError(f"data.{name}: no training images are left; hold out less")
    save(path, splits, classes, source.held_out)
    counts = ", ".join(f"{split} {len(splits[split]):,}" for split in splits)
    log.line(f"data {name}: {len(classes)} classes; {counts}")
    return splits


def _reduced(name: str, split: Split, factor: int) -> Split:
    try:
        return replace(split, images=averaged(split.images, factor))
    except ValueError as error:
        raise DataError(f"data.{name}.reduce: {error}") from error


def run(context: Context) -> None:
    """Writes data/<dataset>.safetensors."""
    name = context.job.wildcards["dataset"]
    scratch = context.work / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed run has unpacked may be half a file
    scratch.mkdir()
    prepare(name, context.job.params.data[name], context.outputs["data"], scratch, context.log)
