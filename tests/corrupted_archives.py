"""Archives of CIFAR-10-C's form, small enough for a test."""

import tarfile

import numpy as np

SEVERITIES = 5


def darkened(folder, count=6, size=8, channels=1, names=("fog", "snow"), classes=2, seed=0):
    """A folder whose images are dark or bright by their label, and lose that: fog from severity 3 on, snow never.

    Labels alternate; a dark image is of class 0. Fog of severity 3 to 5 makes every image bright.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(count, dtype=np.uint8) % classes
    clean = np.where(labels[:, None, None, None] == 0, 10, 240) * np.ones((1, size, size, channels))
    noise = np.random.default_rng(seed).integers(0, 10, (count, size, size, channels))
    images = (clean + noise).astype(np.uint8)
    for name in names:
        strong = [np.full_like(images, 250) if name == "fog" and s >= 3 else images for s in range(1, SEVERITIES + 1)]
        np.save(folder / f"{name}.npy", np.concatenate(strong))
    np.save(folder / "labels.npy", np.tile(labels, SEVERITIES))
    return folder


def packed(folder, mode="w"):
    """The folder as the tar file that it is got from."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, mode) as archive:
        archive.add(folder, "CIFAR-10-C")
    return path
