"""Images a second: batches made on the device against a DataLoader of PIL images, in one run.

The DataLoader: RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor, batch 128, two workers, images decoded
before. Both are timed in turns, so that a busy machine slows both; medians over the turns are compared.

    python benchmarks/augmentation.py [--device cuda] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mngac.data.batches import Batches
from mngac.data.store import Split

IMAGES, BATCH, WORKERS, PAD, TURNS = 50_000, 128, 2, 4, 5


class Pictures(Dataset):
    """PIL images with torchvision's transforms."""

    def __init__(self, images: Tensor):
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        steps = [transforms.RandomCrop(32, padding=PAD), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
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


def rate(draw, batches: int, device: str) -> float:
    """Images a second over some batches."""
    started = time.perf_counter()
    for _ in range(batches):
        draw()
    if device == "cuda":
        torch.cuda.synchronize()
    return batches * BATCH / (time.perf_counter() - started)


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    part = Split(images, torch.zeros(IMAGES, dtype=torch.int64), torch.arange(IMAGES))
    ours = Batches(part, BATCH, 0, "train", arguments.device, ("crop", "flip"), PAD)
    steps = iter(range(1 << 40))
    loader = DataLoader(
        Pictures(images), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    theirs = endless(loader)
    rate(lambda: ours(next(steps)), 50, arguments.device)
    rate(lambda: next(theirs), 20, "cpu")
    found: list[tuple[float, float]] = []
    for _ in range(TURNS):
        slow = rate(lambda: next(theirs), 150, "cpu")
        time.sleep(1)
        found.append((rate(lambda: ours(next(steps)), 1000, arguments.device), slow))
    fast, slow = (statistics.median(column) for column in zip(*found, strict=True))
    content = {"device": arguments.device, "threads": arguments.threads, "torch": torch.__version__, "batch": BATCH}
    rates = {"batches_images_per_second": round(fast), "dataloader_images_per_second": round(slow)}
    print(json.dumps({**content, **rates, "ratio": round(fast / slow, 1)}))


if __name__ == "__main__":
    main()
