"""Classifier files that others wrote: plain state dicts, safetensors, the authors' and RobustBench's forms.

A file is read without running anything in it, and loaded whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mngac.models.files import Architecture, check_finite
from mngac.params.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "net", "model")
"""Keys under which trainers put the weights, beside epochs and optimizers."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and wrapping modules put before every name."""
UNUSED = "sub_block1."
"""Layers of TRADES's WideResNet that no forward pass uses; RobustBench's has them on demand."""


class ForeignError(UserError):
    """One line on why a file of weights can't be loaded."""


def load_foreign(path: str | Path, model: str, classes: int, channels: int, size: int) -> nn.Module:
    """A classifier from somebody else's file of weights.

    Args:
        path: safetensors, or what torch.save wrote, in either serialisation.
        model: such as wrn_28_10.
        classes: number of logits.
        channels: of the image.
        size: height and width of the image.

    Returns:
        the classifier in eval mode on the CPU, without gradients to its weights, images in [0, 1] -> logits.

    Raises:
        ForeignError: for a file that holds no weights, or where keys are missing, unexpected or of another shape: all
            of them in one line.
        UserError: for weights that are not finite.
    """
    with torch.random.fork_rng(devices=[]):
        classifier = Architecture(model, classes, channels, size).build()
    load_weights(classifier, path, model)
    return classifier.eval().requires_grad_(False)


def load_weights(classifier: nn.Module, path: str | Path, model: str) -> None:
    """Puts a file's weights into a classifier, all of them or none.

    Raises:
        ForeignError, UserError: as for `load_foreign`.
    """
    weights = _complete(state_dict_of(path), classifier)
    wanted = classifier.state_dict()
    missing = [name for name in wanted if name not in weights]
    unexpected = [name for name in weights if name not in wanted]
    shapes = [
        f"{name} {tuple(weights[name].shape)} in place of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in weights and weights[name].shape != wanted[name].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
        raise ForeignError(f"{path}: not the weights of this {model}; {listed}")
    check_finite(path, weights)
    classifier.load_state_dict(weights)


def state_dict_of(path: str | Path) -> dict[str, Tensor]:
    """The weights of a file by layer name, without wrappers and prefixes.

    Raises:
        ForeignError: for a file that can't be read, or holds no dictionary of tensors.
    """
    content = _read(Path(path))
    for wrapper in WRAPPERS:
        inner = content.get(wrapper) if isinstance(content, dict) else None
        if isinstance(inner, dict):
            content = inner
            break
    if not (isinstance(content, dict) and content and all(isinstance(v, Tensor) for v in content.values())):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ForeignError(
            f"{path}: holds no weights by name, but {found}; allowed: a state dict, alone or under one "
            f"of {', '.join(WRAPPERS)}"
        )
    weights: dict[str, Tensor] = dict(content)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in weights.items() if not name.startswith(UNUSED)}


def _read(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ForeignError(f"{path}: not found") from None
    except OSError:
        if path.is_dir():
            raise ForeignError(f"{path}: found a folder; allowed: a file of weights") from None
        raise
    except Exception as error:  # rubbish raises anything, and what it says means nothing
        allowed = "safetensors, or what torch.save wrote of tensors and plain values alone"
        raise ForeignError(f"{path}: can't be read as weights; allowed: {allowed}, whole") from error


def _complete(weights: dict[str, Tensor], classifier: nn.Module) -> dict[str, Tensor]:
    """Adds the batch counters that old versions of torch did not write; eval mode does not read them."""
    counters = {
        name: tensor for name, tensor in classifier.state_dict().items() if name.endswith("num_batches_tracked")
    }
    absent = {name: torch.zeros_like(tensor) for name, tensor in counters.items() if name not in weights}
    norms_there = {name for name in absent if name.replace("num_batches_tracked", "running_mean") in weights}
    return {**weights, **{name: absent[name] for name in norms_there}}
