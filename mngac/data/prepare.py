"""The data stage: loader -> held-out parts -> tensor file."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from mngac.data.store import Part, RawData, empty_like, save
from mngac.stages import Context
from mngac.streams import stream


def held_out(labels: Tensor, shares: tuple[float, ...], ordered: bool) -> list[Tensor]:
    """Indices of the parts that the shares state, and of the rest as the first: each ascending, none twice.

    Ordered sources are cut from the end in contiguous runs; others are drawn class by class from a seeded stream.
    """
    counts = [round(share * len(labels)) for share in shares]
    order = torch.arange(len(labels)) if ordered else _stratified(labels)
    rest = len(labels) - sum(counts)
    return [part.sort().values for part in order.split([rest, *counts])]


def _stratified(labels: Tensor) -> Tensor:
    """An order in which every contiguous run has about the classes' shares."""
    shuffled = torch.randperm(len(labels), generator=stream(0, "held out"))
    place = torch.zeros(len(labels), dtype=torch.float64)
    for label in labels.unique():
        mine = shuffled[labels[shuffled] == label]
        place[mine] = (torch.arange(len(mine), dtype=torch.float64) + 0.5) / len(mine)
    return shuffled[place[shuffled].argsort(stable=True)]


def split(raw: RawData, validation: float, unlabelled: float) -> dict[str, Part]:
    """The four parts. An unlabelled pool of the source's own is used whole; otherwise a share of train becomes it."""
    share = 0.0 if raw.pool else unlabelled
    rest, pool, chosen = held_out(raw.train_labels, (share, validation), raw.ordered)
    parts = {
        "train": Part(raw.train_images[rest], raw.train_labels[rest], rest),
        "validation": Part(raw.train_images[chosen], raw.train_labels[chosen], chosen),
        "unlabelled": Part(raw.train_images[pool], raw.train_labels[pool], pool),
        "test": Part(raw.test_images, raw.test_labels, torch.arange(len(raw.test_labels))),
    }
    if raw.pool:
        parts["unlabelled"] = Part(*raw.pool, torch.arange(len(raw.pool[0])))
    return {name: part if len(part) else empty_like(raw.test_images) for name, part in parts.items()}


def run(context: Context) -> None:
    """Writes data/<dataset>.safetensors."""
    source = context.job.params.data[context.job.wildcards["dataset"]]
    loader = importlib.import_module(f"mngac.data.loaders.{source.loader}")
    raw = loader.load(source.source)
    parts = split(raw, source.validation, source.unlabelled)
    save(context.job.outputs["data"], parts, raw.classes)
    counts = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    context.log.line(f"data {context.job.name}: {len(raw.classes)} classes; {counts}")
