"""A copy of a classifier for eval mode, whose batch norms are what they are there: a factor and a sum a channel.

Convolutions take them over from the batch norms behind them; the other batch norms apply them and no more. The copy
differs from the classifier by rounding alone, and costs less: attacks ask it, and what they find is judged on the
classifier itself.
"""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mngac.models.layout import lay_out

SAME = 1e-3
"""Share of the largest logit by which the copy's may differ: far more than rounding, far less than another network."""


def folded(classifier: object, x: Tensor) -> nn.Module | None:
    """The copy; None where there is no batch norm, or where it would not be the same classifier.

    A module says in its attribute `normed` which of its convolutions have an output that goes to a batch norm alone:
    {"conv1": "bn2"}.

    Args:
        classifier: whatever is evaluated; its mode stays.
        x: images (batch, channels, height, width) in [0, 1], on which both are compared.
    """
    if not isinstance(classifier, nn.Module) or any(module.training for module in classifier.modules()):
        return None
    if not any(_is_fixed(module) for module in classifier.modules()):
        return None
    copied = copy.deepcopy(classifier)
    for module in list(copied.modules()):
        _fold(module)
    for module in list(copied.modules()):
        for name, norm in module.named_children():
            if _is_fixed(norm):
                setattr(module, name, Fixed(norm))
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
    return isinstance(conv, nn.Conv2d) and _is_fixed(norm)


def _is_fixed(norm: object) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a batch norm, of no subclass, has running statistics to apply in eval mode."""
    return type(norm) is nn.BatchNorm2d and norm.running_mean is not None


class Fixed(nn.BatchNorm2d):
    """A batch norm in eval mode for good: one pass forward, and one backward to its input."""

    factor: Tensor
    offset: Tensor

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        assert norm.running_mean is not None and norm.running_var is not None
        self.to(norm.running_mean)
        self.load_state_dict(norm.state_dict())
        with torch.no_grad():
            factor = (norm.running_var.double() + norm.eps).rsqrt()
            factor = factor * norm.weight.double() if norm.affine else factor
            offset = -norm.running_mean.double() * factor
            offset = offset + norm.bias.double() if norm.affine else offset
        self.register_buffer("factor", factor.to(norm.running_mean.dtype).view(-1, 1, 1))
        self.register_buffer("offset", offset.to(norm.running_mean.dtype).view(-1, 1, 1))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Each channel times its factor plus its offset, in the input's type."""
        return torch.addcmul(self.offset, x, self.factor).to(x.dtype)
