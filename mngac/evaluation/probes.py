"""What a classifier does that makes its evaluation doubtful, found by probing it; each finding is a red flag."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import is_correct
from mngac.evaluation.consistency import SAME, in_train_mode, inconsistencies
from mngac.evaluation.continuity import discontinuities
from mngac.evaluation.gradients import false_gradients, useless_gradients

IMAGES = 128


class Probed(NamedTuple):
    """Red flags, a line each, and whether the classifier says the same of an image however it is asked."""

    flags: list[str]
    consistent: bool


def probe(classifier: Classifier, x: Tensor, y: Tensor) -> Probed:
    """Red flags of a classifier, on a batch of images.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images; the first 128 are used.
        y: labels.

    Returns:
        no flag for a deterministic, differentiable classifier in eval mode that returns logits.
    """
    x, y = x[:IMAGES], y[:IMAGES]
    with torch.no_grad():
        logits = classifier(x).float()
    inconsistent = inconsistencies(classifier, x)
    chosen = is_correct(logits, y)
    flags = ["the classifier is in train mode"] if in_train_mode(classifier) else []
    flags += [*inconsistent, *_outputs(logits), *useless_gradients(classifier, x[chosen], y[chosen])]
    if not inconsistent:  # else other logits say nothing about other images
        flags += [*false_gradients(classifier, x[chosen], y[chosen]), *discontinuities(classifier, x)]
    return Probed(flags, not inconsistent)


def _outputs(logits: Tensor) -> list[str]:
    flags = ["the outputs look like probabilities, not logits"] if _probabilities(logits) else []
    return flags if bool(logits.isfinite().all()) else [*flags, "some logits are not finite"]


def _probabilities(logits: Tensor) -> bool:
    inside = bool(((logits >= -SAME) & (logits <= 1 + SAME)).all())
    return inside and bool(((logits.sum(1) - 1).abs() < SAME).all())
