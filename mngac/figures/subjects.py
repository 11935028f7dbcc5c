"""What the figures of models look at: classifiers, a few images, attacks of each norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mngac import tensors
from mngac.attacks.apgd import apgd
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.models.files import load_classifier
from mngac.models.noise_generator import NoiseGenerator
from mngac.params.sections import FigureParams, Params
from mngac.params.types import number
from mngac.pipeline.paths import drawn_methods, trained
from mngac.streams import stream

BATCH = 2000
"""Images in one forward pass of a grid."""


@dataclass(frozen=True)
class Subjects:
    """Classifiers by method (first seed), the images that the figures use, and how they attack."""

    dataset: str
    classifiers: Mapping[str, nn.Module]
    x: Tensor
    """(n, channels, height, width) in [0, 1]: the first images of `run.split`."""
    y: Tensor
    classes: list[str]
    radii: Mapping[str, float]
    params: FigureParams
    reference: str
    """The method that is drawn in black."""
    split: str
    seed: int
    device: str
    missing: tuple[str, ...] = ()

    def attack(self, method: str, norm: str, x: Tensor, y: Tensor) -> Tensor:
        """x_adv of the highest loss that APGD-CE finds in the norm's ball (Croce and Hein 2020)."""
        draw = stream(self.seed, "figures", norm, device=self.device)
        return apgd(self.classifiers[method], x, y, norm, self.radii[norm], self.params.steps, draw)

    @property
    def note(self) -> str:
        """What every footnote of these figures says."""
        absent = f" Not in this run: {', '.join(self.missing)}." if self.missing else ""
        return f"{self.dataset}, {self.split} images, seed {self.seed}; APGD-CE, {self.params.steps} steps.{absent}"


def load(params: Params, dataset: str, device: str) -> Subjects:
    """The subjects of one data set, from the files of its first seed."""
    methods = drawn_methods(params)
    seed = params.run.seeds[0]
    folders = {m: trained(dict(dataset=dataset, method=m, seed=str(seed))) for m in methods}
    data = store.load(f"data/{dataset}.safetensors")
    part = data.split(params.run.split)
    count = params.figures.images
    radii = params.radii_for(params.run.profiles[0], dataset)
    return Subjects(
        dataset=dataset,
        classifiers={m: load_classifier(f"{f}/classifier.safetensors", device) for m, f in folders.items()},
        x=to_unit(part.images[:count].to(device)),
        y=part.labels[:count].to(device),
        classes=[name.replace("$", r"\$") for name in data.classes],  # which would begin a formula
        radii={norm: number(getattr(radii, norm)) for norm in ("linf", "l1", "l2")},
        params=params.figures,
        reference=params.tables.reference,
        split=params.run.split,
        seed=seed,
        device=device,
        missing=tuple(m for m in params.figures.methods if m not in methods),
    )


def load_generator(dataset: str, method: str, seed: int, device: str) -> NoiseGenerator | None:
    """The method's noise generator; None for a method without one."""
    path = Path(trained(dict(dataset=dataset, method=method, seed=str(seed))), "generator.safetensors")
    weights, _ = tensors.read(path)
    if not weights:
        return None
    channels = len(weights["conv_2d_4.weight"])
    with torch.random.fork_rng(devices=[]):
        generator = NoiseGenerator(channels, weights["conv_2d_1.weight"].shape[1] > channels)
    generator.load_state_dict(weights)
    return generator.to(device).eval().requires_grad_(False)


@torch.no_grad()
def logits_of(classifier: nn.Module, x: Tensor) -> Tensor:
    """Logits of many images (n, ...) -> (n, classes), a few at a time."""
    return torch.cat([classifier(part) for part in x.split(BATCH)]).float()


def plane(x: Tensor, first: Tensor, second: Tensor, across: Tensor, up: Tensor) -> Tensor:
    """Images x + a first + b second, clamped to [0, 1].

    Args:
        x: one image (channels, height, width).
        first: direction, same shape.
        second: direction, same shape.
        across: values of a, (columns,).
        up: values of b, (rows,).

    Returns:
        (rows * columns, channels, height, width), rows first.
    """
    b, a = torch.meshgrid(up, across, indexing="ij")
    moved = x + a.reshape(-1, 1, 1, 1) * first + b.reshape(-1, 1, 1, 1) * second
    return moved.clamp(0, 1)
