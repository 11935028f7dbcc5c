"""Whom attacks ask in a classifier's place: the same but for rounding, and cheaper.

What they find is judged on the classifier itself (mngac/evaluation/acceptance.py): what another classifier would be
broken by counts for nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mngac.attacks.pgd import Classifier
from mngac.evaluation.reproducible import reproducible
from mngac.models.compiled import compile_forward, hindrance
from mngac.models.folded import SAME, folded

IMAGES = 8
"""Images, the first ones of an evaluation, on which a cheaper classifier is compared with the classifier."""


def asked(classifier: Classifier, x: Tensor, compiled: bool, tell: Callable[[str], None]) -> Classifier:
    """The classifier with its batch norms folded, and compiled where that is wanted; or the classifier itself.

    Compared in plain float32, whatever precision attacks then run in.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images to compare both on.
        compiled: whether the pass goes through torch.compile, which takes minutes for a large network.
        tell: is told in one line what prevents compilation, where something does.
    """
    with reproducible(tensor_float32=False):
        cheaper = folded(classifier, x)
        if not compiled:
            return cheaper or classifier
        if not isinstance(classifier, nn.Module):
            tell(f"{type(classifier).__name__} in place of a torch.nn.Module")
            return classifier
        through = copy.deepcopy(cheaper or classifier)
        compile_forward(through, "channels_last", tell, sizes_vary=True)
        if _alike(classifier, through, x):
            return through
        if not hindrance(through):
            tell("other logits or gradients than the classifier's own")
        return cheaper or classifier


def _alike(classifier: nn.Module, other: nn.Module, x: Tensor) -> bool:
    """Whether logits and gradients to the images agree: forward and backward are compiled each by itself."""
    found = []
    for net in (classifier, other):
        with torch.enable_grad():
            point = x.detach().clone().requires_grad_()
            logits = net(point)
            gradient = torch.autograd.grad(logits.square().sum(), point, allow_unused=True)[0]
        found.append((logits.detach(), torch.zeros_like(x) if gradient is None else gradient))
    return all(_close(a, b) for a, b in zip(*found, strict=True))


def _close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() <= SAME * a.norm())
