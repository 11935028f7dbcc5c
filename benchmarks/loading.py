"""Images a second: batches made on the device against a DataLoader of PIL images, in turns.

The DataLoader: RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor, two workers, images decoded before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.turns import Spread, in_turns, ratio
from mngac.data.batches import Batches
from mngac.data.store import Split

WORKERS, PAD, SIZE = 2, 4, 32


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--batches", type=int, default=1000, help="of ours in a turn; a tenth of the DataLoader's")
    parser.add_argument("--turns", type=int, default=5)


class Pictures(Dataset):
    """PIL images with torchvision's transforms."""

    def __init__(self, images: Tensor):
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        steps = [transforms.RandomCrop(SIZE, padding=PAD), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures[index]), 0


def endless(loader: DataLoader) -> Iterator[Tensor]:
    """Batches for ever; workers stay."""
    while True:
        for images, _ in loader:
            yield images


def rate(draw: Callable[[], Any], batches: int, batch: int, device: str) -> float:
    """Images a second over some batches, by the wall."""
    started = time.perf_counter()
    for _ in range(batches):
        draw()
    if device == "cuda":
        torch.cuda.synchronize()
    return batches * batch / (time.perf_counter() - started)


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row."""
    torch.set_num_threads(a.threads)
    images = torch.randint(
        256, (a.images, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    split = Split(images, torch.zeros(a.images, dtype=torch.int64), torch.arange(a.images))
    ours = Batches(split, a.batch, 0, "train", a.device, ("crop", "flip"), PAD)
    steps = iter(range(1 << 40))
    loader = DataLoader(
        Pictures(images), a.batch, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    theirs = endless(loader)
    few = max(a.batches // 10, 1)

    def slow() -> float:
        return rate(lambda: next(theirs), few, a.batch, "cpu")

    def fast() -> float:
        time.sleep(1)  # until the workers have filled their queues and rest
        return rate(lambda: ours(next(steps)), a.batches, a.batch, a.device)

    sides = {"dataloader": slow, "ours": fast}
    in_turns(sides, 1)
    found = in_turns(sides, a.turns)
    yield {
        "what": f"crop and flip, batch {a.batch}, {WORKERS} workers of the DataLoader",
        "turns": a.turns,
        "ours_images_per_second": Spread.of(found["ours"]).as_dict(digits=0),
        "dataloader_images_per_second": Spread.of(found["dataloader"]).as_dict(digits=0),
        "ratio": ratio(found["ours"], found["dataloader"]).as_dict(),
    }
