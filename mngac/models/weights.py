"""Weights by layer name -> into a classifier, all of them or none, after every name and shape was looked at."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mngac.params.errors import UserError, listed


class ForeignError(UserError):
    """One line on why a file of weights can't be loaded."""


def copied(classifier: nn.Module) -> dict[str, Tensor]:
    """A classifier's weights and running statistics, as they are now."""
    return {name: value.detach().clone() for name, value in classifier.state_dict().items()}


def twin(classifier: nn.Module) -> nn.Module:
    """A classifier with copies of another's weights and running statistics, wherever these are."""
    memo: dict[int, Tensor] = {id(buffer): buffer.detach().clone() for buffer in classifier.buffers()}
    for weight in classifier.parameters():
        memo[id(weight)] = nn.Parameter(weight.detach().clone(), weight.requires_grad)
    return copy.deepcopy(classifier, memo)


def put(classifier: nn.Module, weights: Mapping[str, Tensor], path: str | Path, model: str) -> None:
    """Puts weights into a classifier.

    Raises:
        ForeignError: as for `check`.
        UserError: for weights that are not finite.
    """
    complete = completed(weights, classifier)
    check(classifier, complete, path, model)
    check_finite(path, complete)
    classifier.load_state_dict(complete)


def completed(weights: Mapping[str, Tensor], classifier: nn.Module) -> dict[str, Tensor]:
    """Adds the batch counters that old versions of torch did not write; eval mode does not read them."""
    counters = [name for name in classifier.state_dict() if name.endswith("num_batches_tracked")]
    norms_there = [name for name in counters if name.replace("num_batches_tracked", "running_mean") in weights]
    return {**{name: torch.tensor(0) for name in norms_there}, **weights}


def check(classifier: nn.Module, weights: Mapping[str, Tensor], path: str | Path, model: str) -> None:
    """Compares weights with those that a classifier has; that may be on torch's device `meta`, without memory.

    Args:
        classifier: whose weights they shall become.
        weights: by name.
        path: of their file, for the error.
        model: the classifier's name, for the error.

    Raises:
        ForeignError: where weights are missing, unexpected, of another shape, or no plain numbers.
    """
    wanted = classifier.state_dict()
    both = [name for name in wanted if name in weights]
    problems = {
        "missing": [name for name in wanted if name not in weights],
        "unexpected": [name for name in weights if name not in wanted],
        "of another shape": [
            f"{name} {tuple(weights[name].shape)} in place of {tuple(wanted[name].shape)}"
            for name in both
            if weights[name].shape != wanted[name].shape
        ],
        "no plain numbers": [f"{name} {weights[name].dtype}" for name in both if not _plain(weights[name])],
    }
    found = "; ".join(f"{what}: {listed(names)}" for what, names in problems.items() if names)
    if found:
        raise ForeignError(f"{path}: not the weights of this {model}; {found}; name the model that they are of")


def _plain(tensor: Tensor) -> bool:
    in_memory = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return in_memory and not tensor.dtype.is_complex and type(tensor) in (Tensor, nn.Parameter)


def check_finite(path: str | Path, weights: Mapping[str, Tensor]) -> None:
    """Refuses weights and running statistics with numbers that are not finite: what they classify means nothing.

    Raises:
        UserError: naming the first tensor of them, as the classifier of the path.
    """
    bad = [name for name, tensor in weights.items() if not bool(tensor.isfinite().all())]
    if bad:
        found = f"{len(bad)} of {len(weights)} tensors are not finite, the first of them {bad[0]}"
        raise UserError(f"{path}: {found}; allowed: a classifier of finite weights and running statistics")
