"""MNG-AC's look ahead: what a virtual step of the classifier on a noisy view does to its loss on attacked images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mngac.models.compiled import plain
from mngac.models.frozen import frozen_statistics
from mngac.models.second_order import MixedProducts
from mngac.shapes import Images, Labels, Scalar


def virtual_step(weights: Mapping[str, Tensor], gradients: Sequence[Tensor], learning_rate: float) -> dict[str, Tensor]:
    """theta' = theta - alpha grad, as new leaves of a graph; theta stays as it is."""
    return {
        name: (weight.detach() - learning_rate * gradient.detach()).requires_grad_()
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }


def meta_loss(classifier: nn.Module, view: Images, y: Labels, x_adv: Images, learning_rate: float) -> Scalar:
    """CE(f_theta'(x_adv), y) with theta' = theta - alpha grad_theta CE(f_theta(view), y), without a graph.

    Args:
        classifier: in train mode; neither its weights nor its running statistics move.
        view: images (batch, channels, height, width) in [0, 1] that the virtual step is taken on.
        y: labels (batch,).
        x_adv: attacked images, of the view's shape.
        learning_rate: alpha.
    """
    weights = dict(classifier.named_parameters())
    # theta' is never kept, so what it would do to the running statistics must not be either.
    with frozen_statistics(classifier, "train"):
        gradients = torch.autograd.grad(F.cross_entropy(classifier(view), y), list(weights.values()))
        moved = virtual_step(weights, gradients, learning_rate)
        with torch.no_grad():
            return F.cross_entropy(functional_call(classifier, moved, (x_adv,)), y)


def meta_gradient(
    classifier: nn.Module, view: Images, y: Labels, x_adv: Images, learning_rate: float
) -> tuple[Scalar, Images]:
    """The meta loss and its gradient to the view, exact; arguments as for `meta_loss`.

    With v = grad_theta' CE(f_theta'(x_adv), y) the gradient is -alpha grad_view <grad_theta CE(f_theta(view), y), v>:
    v comes from a first-order pass of its own, so that only the virtual step's graph is differentiated twice.
    """
    weights = dict(classifier.named_parameters())
    view = view.detach().requires_grad_()
    # A compiled pass can not be differentiated twice.
    with frozen_statistics(classifier, "train"), plain(classifier):
        with MixedProducts() as products:
            loss = F.cross_entropy(classifier(view), y)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        moved = virtual_step(weights, gradients, learning_rate)
        looked = F.cross_entropy(functional_call(classifier, moved, (x_adv,)), y)
        toward = torch.autograd.grad(looked, list(moved.values()))
        return looked.detach(), -learning_rate * products.gradient(gradients, toward, view)
