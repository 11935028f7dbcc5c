"""Images for the examples: six coloured shapes on noise, so that each runs anywhere in a minute, without a download.

    python examples/shapes.py FOLDER

writes them as FOLDER/train/<class>/*.png and FOLDER/test/<class>/*.png.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

NAMES = ["bar", "corner", "cross", "diagonal", "frame", "square"]
RADII = {"linf": "8/255", "l1": 4, "l2": 0.4}


def radius(text: str) -> str | float:
    """A radius as it is typed: a fraction such as 8/255, which stays one, or a number."""
    return text if "/" in text else float(text)


def with_radii(parser: argparse.ArgumentParser, own: str) -> argparse.Namespace:
    """The arguments, with `radii`: those of the shapes, or as stated, which the argument for `own` data asks for."""
    parser.add_argument(
        "--radii",
        nargs=3,
        type=radius,
        metavar=("LINF", "L1", "L2"),
        help="of your own data, on images in [0, 1], such as 8/255 12 0.5",
    )
    arguments = parser.parse_args()
    if getattr(arguments, own) and not arguments.radii:
        parser.error(f"{own}: found no --radii; allowed: both, since radii are those of a data set")
    arguments.radii = dict(zip(RADII, arguments.radii, strict=True)) if arguments.radii else RADII
    return arguments


def _mask(wide: int, *parts: tuple[slice, slice]) -> Tensor:
    mask = torch.zeros(wide, wide, dtype=torch.bool)
    for rows, columns in parts:
        mask[rows, columns] ^= True
    return mask


ALL, INSIDE = slice(None), slice(2, -2)
MASKS = {
    "bar": lambda wide: _mask(wide, (slice(wide // 2 - 1, wide // 2 + 1), ALL)),
    "corner": lambda wide: _mask(wide, (ALL, ALL), (slice(None, -2), slice(2, None))),
    "cross": lambda wide: _mask(wide, (slice(wide // 2 - 1, wide // 2 + 1), ALL)) | MASKS["bar"](wide).T,
    "diagonal": lambda wide: torch.eye(wide, dtype=torch.bool) | torch.eye(wide, dtype=torch.bool).roll(1, 0),
    "frame": lambda wide: _mask(wide, (ALL, ALL), (INSIDE, INSIDE)),
    "square": lambda wide: _mask(wide, (ALL, ALL)),
}


def shapes(n: int, seed: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """uint8 images (n, 3, size, size) and labels int64 (n,) from 0 to 5, NAMES."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(60, 90, (n, 3, size, size), generator=random)
    labels = torch.randint(len(NAMES), (n,), generator=random)
    for image, label in zip(images, labels, strict=True):
        wide = int(torch.randint(6, 10, (), generator=random))
        top, left = torch.randint(1, size - wide, (2,), generator=random).tolist()
        box = image[:, top : top + wide, left : left + wide]
        colour = torch.randint(70, 130, (3, 1, 1), generator=random)
        box += colour * MASKS[NAMES[label]](wide)
    return images.to(torch.uint8), labels


def save(folder: str | Path, train: int = 900, test: int = 60, size: int = 16) -> None:
    """Writes `train` and `test` images under `folder`, as PNG, one folder a class in each part."""
    from PIL import Image

    for seed, (part, n) in enumerate({"train": train, "test": test}.items()):
        for i, (image, label) in enumerate(zip(*shapes(n, seed, size), strict=True)):
            path = Path(folder, part, NAMES[label], f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a new one")
    parser.add_argument("--train", type=int, default=900, help="images to train on (default: 900)")
    parser.add_argument("--test", type=int, default=60, help="images to test with (default: 60)")
    arguments = parser.parse_args()
    if min(arguments.train, arguments.test) < 1:
        parser.error("--train, --test: allowed: 1 or more")
    into = Path(arguments.folder)
    if into.exists():
        parser.error(f"{into}: found something of that name; allowed: a new folder")
    save(into, arguments.train, arguments.test)
