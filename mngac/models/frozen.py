"""A classifier that is asked, not trained: what stays as it is while an attack, a monitor or a virtual step uses it."""

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def frozen_statistics(classifier: nn.Module, mode: str) -> Iterator[None]:
    """Within the block the classifier is in `train` or `eval` mode, and its running statistics stay as they are."""
    # A batch norm in train mode both uses the batch's statistics and moves the running ones. Taking away its request to
    # track keeps the first and drops the second (momentum 0 would still count the batch). In eval mode the flag changes
    # nothing: the buffers are there, so they are used.
    was = {module: module.training for module in classifier.modules()}
    norms = [m for m in was if isinstance(m, _BatchNorm) and m.track_running_stats]
    classifier.train(mode == "train")
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for module, training in was.items():
            module.training = training


@contextlib.contextmanager
def frozen_weights(classifier: object) -> Iterator[None]:
    """Takes the weights out of all gradients for a while: none are computed, and none reach them."""
    weights = list(classifier.parameters()) if isinstance(classifier, nn.Module) else []
    wanted = [w.requires_grad for w in weights]
    try:
        for w in weights:
            w.requires_grad_(False)
        yield
    finally:
        for w, flag in zip(weights, wanted, strict=True):
            w.requires_grad_(flag)


@contextlib.contextmanager
def under_attack(classifier: nn.Module, mode: str) -> Iterator[None]:
    """Both: gradients reach the images alone, and nothing of the classifier moves."""
    with frozen_statistics(classifier, mode), frozen_weights(classifier):
        yield
