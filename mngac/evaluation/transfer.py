"""Adversarial images of other classifiers, tried on this one: what breaks only so hints at masked gradients."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.data.pixels import as_unit
from mngac.evaluation.acceptance import Target, accept
from mngac.evaluation.consistency import Unanimous, inconsistencies
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.probes import IMAGES
from mngac.evaluation.reproducible import reproducible
from mngac.models.frozen import frozen_weights
from mngac.params.sections import Radii
from mngac.params.types import Norm, number
from mngac.results.records import AttackRecord

Crafted = Mapping[str, Mapping[Norm, Tensor]]
"""By source, by norm: images in [0, 1] (n, channels, height, width), one for each image of the evaluation."""
BATCH = 500


def transferred(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    radii: Radii,
    standing: Sequence[bool],
    crafted: Crafted,
    device: str = "cpu",
) -> tuple[list[AttackRecord], float]:
    """Tries each source's images on a classifier, by the same acceptance as an attack's.

    Every source is shown every image that stands, so that each column tells of that source by itself. A classifier that
    says other things of the same image, on the first 128, is judged by all of its answers.

    Args:
        classifier: images in [0, 1] -> logits.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,).
        radii: of the norms' balls.
        standing: per image, whether it is tried.
        crafted: other classifiers' adversarial images.
        device: where batches are put.

    Returns:
        a column a source and norm, named after the source, and the seconds it took.

    Raises:
        ValueError: for a source that has not as many images, or images of another shape.
    """
    started = time.monotonic()
    positions = torch.tensor(standing).nonzero().flatten()
    columns = []
    with frozen_weights(classifier):
        judge = _judge(classifier, as_unit(images[:IMAGES].to(device)))
        for source, by_norm in crafted.items():
            for norm, moved in by_norm.items():
                if moved.shape != images.shape:
                    raise ValueError(f"{source} {norm}: found {tuple(moved.shape)}; allowed: {tuple(images.shape)}")
                radius = getattr(radii, norm)
                target = Target(norm, number(radius), 0, 0, device)
                outcomes = _tried(judge, images, labels, positions, moved, target)
                columns.append(_column(source, str(radius), norm, len(labels), positions, outcomes))
    return columns, round(time.monotonic() - started, 3)


def _judge(classifier: Classifier, x: Tensor) -> Classifier:
    """Who says which class an image gets: the classifier, or all of its answers together where they differ."""
    with reproducible(tensor_float32=False):
        return Unanimous(classifier) if inconsistencies(classifier, x) else classifier


def _tried(
    judge: Classifier, images: Tensor, labels: Tensor, positions: Tensor, moved: Tensor, target: Target
) -> list[Outcome]:
    """Each position's outcome."""

    def each() -> Iterator[Outcome]:
        for chosen in positions.split(BATCH) if len(positions) else ():
            x = as_unit(images[chosen].to(target.device))
            yield from accept(judge, x, labels[chosen].to(target.device), moved[chosen].to(x.device), target)

    return list(each())


def _column(
    source: str, radius: str, norm: Norm, n: int, positions: Tensor, outcomes: Sequence[Outcome]
) -> AttackRecord:
    marks = ["."] * n
    for position, outcome in zip(positions.tolist(), outcomes, strict=True):
        marks[position] = outcome.mark
    rejected = sum(outcome is Outcome.REJECTED for outcome in outcomes)
    return AttackRecord(
        name=source, norm=norm, radius=radius, correct="".join(marks), rejected=rejected, forwards=len(positions)
    )
