"""A classifier's forward pass through torch.compile, and the plain one for what a compiled pass cannot do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mngac.models.frozen import frozen_weights
from mngac.params.modules import told


def compile_forward(classifier: nn.Module, x: Tensor) -> str:
    """Compiles the forward pass and, with it, the gradient to the images; says in a line what prevents it, if anything.

    Args:
        classifier: its mode stays; modes, shapes and precisions that come later are compiled when they come.
        x: images (batch, channels, height, width) to try it on: a machine without a C++ compiler shows so here.

    Returns:
        nothing, or why the classifier stays as it was.
    """
    classifier.forward = torch.compile(classifier.forward, dynamic=False)
    try:
        with frozen_weights(classifier), torch.enable_grad(), torch.random.fork_rng(devices=[]):
            x = x.detach().requires_grad_()
            torch.autograd.grad(classifier(x).sum(), x)
    except Exception as error:
        del classifier.forward
        return told(error)
    return ""


@contextlib.contextmanager
def plain(classifier: nn.Module) -> Iterator[None]:
    """Within the block the forward pass is the plain one: to differentiate twice, or to see its operations."""
    compiled = vars(classifier).pop("forward", None)
    try:
        yield
    finally:
        if compiled is not None:
            classifier.forward = compiled
