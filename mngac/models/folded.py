"""A copy of a classifier for eval mode, in which convolutions have taken over the batch norms behind them.

There a batch norm is a factor and a sum a channel. The copy differs from the classifier by rounding alone, and costs
less: attacks ask it, and what they find is judged on the classifier itself.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mngac.models.layout import lay_out

SAME = 1e-3
"""Share of the largest logit by which the copy's may differ: far more than rounding, far less than another network."""


def folded(classifier: object, x: Tensor) -> nn.Module | None:
    """The copy; None where there is nothing to fold, or where it would not be the same classifier.

    A module says in its attribute `normed` which of its convolutions have an output that goes to a batch norm alone:
    {"conv1": "bn2"}.

    Args:
        classifier: whatever is evaluated; its mode stays.
        x: images (batch, channels, height, width) in [0, 1], on which both are compared.
    """
    if not isinstance(classifier, nn.Module) or any(module.training for module in classifier.modules()):
        return None
    if not any(_pairs(module) for module in classifier.modules()):
        return None
    copied = copy.deepcopy(classifier)
    for module in copied.modules():
        _fold(module)
    lay_out(copied)
    with torch.no_grad():
        logits, others = classifier(x), copied(x)
    same = bool(((logits - others).abs() <= SAME * logits.abs().amax()).all())
    return copied.requires_grad_(False) if same else None


def _fold(module: nn.Module) -> None:
    for name, name_of_norm in _pairs(module).items():
        setattr(module, name, fuse_conv_bn_eval(getattr(module, name), getattr(module, name_of_norm)))
        setattr(module, name_of_norm, nn.Identity())


def _pairs(module: nn.Module) -> dict[str, str]:
    """What the module says can be folded; norms of another kind, put in their place, stay as they are."""
    said = getattr(module, "normed", None)
    named = said if isinstance(said, dict) else {}
    return {c: n for c, n in named.items() if _foldable(getattr(module, c, None), getattr(module, n, None))}


def _foldable(conv: object, norm: object) -> bool:
    return isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
