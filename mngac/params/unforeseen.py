"""The section `unforeseen` of params.yaml: attacks that no method here trains against, with their budgets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mngac.params.types import UNSTATED, Closed, Name, Place, Positive, Scalar, Seed


class UnforeseenAttack(Closed):
    """One unforeseen attack. An entry states exactly the keys that its kind reads."""

    attack: str
    """A file of mngac/unforeseen/attacks, or package.module:Attack of one's own."""
    pixels: Positive = UNSTATED
    """Budget of l_0: pixels that may differ from the image, each in all its channels."""
    degrees: Annotated[float, Field(ge=0, le=180)] = UNSTATED
    """Budget of a rotation about the image's middle, in degrees to either side."""
    shift: Annotated[float, Field(ge=0, le=8192)] = UNSTATED
    """Budget of a translation, in pixels along each axis, to either side."""
    angles: Positive = UNSTATED
    """Values of the rotation that are tried, evenly over its budget."""
    shifts: Positive = UNSTATED
    """Values of the translation that are tried along each axis, evenly over its budget."""
    beta: Annotated[float, Field(gt=0, lt=1)] = UNSTATED
    """Budget of the affine mix: the share of the l_inf radius that one part has; the other has the rest's share of the
    l_1 radius."""
    steps: Positive = UNSTATED
    """Gradient steps."""
    restarts: Positive = UNSTATED
    """Starts: the first along the image's gradient, the others random."""
    queries: Positive = UNSTATED
    """Passes of a random search."""
    corruptions: Annotated[list[Name], Field(min_length=1)] = UNSTATED
    """Corruptions over which an accuracy is a mean: names of .npy files of the archive."""
    sources: dict[Name, Place] = UNSTATED
    """By data set: a tar file of the form of CIFAR-10-C, or the folder extracted from it. The others get a dash."""
    options: dict[Name, Scalar] = UNSTATED
    """Keys of one's own attack that have no name here, read as `self.config.options["key"]`."""


class Unforeseen(Closed):
    """Unforeseen attacks that are run together. What they break is never a part of a suite's union."""

    attacks: Annotated[list[UnforeseenAttack], Field(min_length=1)]
    """Each by itself, on all images that are correct without attack; corruptions on images of their own."""
    batch_size: Positive
    """Images attacked at a time."""
    n: Positive | None
    """Images, the first ones of the split, and of each severity of a corruption; null: all."""
    seed: Seed
    """Seed of the attacks' randomness."""
