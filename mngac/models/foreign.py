"""Classifier files that others wrote: plain state dicts, safetensors, the authors' and RobustBench's forms.

A file is read without running anything in it, and loaded whole or not at all.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mngac.models.files import Architecture
from mngac.models.weights import ForeignError, put
from mngac.params.errors import UserError, cut, listed

WRAPPERS = ("state_dict", "model_state_dict", "net", "model")
"""Keys under which trainers put the weights, beside epochs and optimizers."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and wrapping modules put before every name."""
UNUSED = "sub_block1."
"""Layers of TRADES's WideResNet that no forward pass uses; RobustBench's has them on demand."""
ASKED = re.compile(r"GLOBAL (\S+)")
"""In what torch says of a pickle that it refuses: what the pickle asks for."""


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
    architecture, weights = Architecture(model, classes, channels, size), state_dict_of(path)
    architecture.check(weights, path)
    with torch.random.fork_rng(devices=[]):
        classifier = architecture.build()
    put(classifier, weights, path, model)
    return classifier.eval().requires_grad_(False)


def load_weights(classifier: nn.Module, path: str | Path, model: str) -> None:
    """Puts a file's weights into a classifier, all of them or none.

    Raises:
        ForeignError, UserError: as for `load_foreign`.
    """
    put(classifier, state_dict_of(path), path, model)


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
    if not (isinstance(content, dict) and content and all(_is_weight(*item) for item in content.items())):
        found = listed(content) or "nothing" if isinstance(content, dict) else type(content).__name__
        raise ForeignError(
            f"{path}: holds no weights by name, but {found}; allowed: a state dict, alone or under one "
            f"of {', '.join(WRAPPERS)}"
        )
    weights: dict[str, Tensor] = dict(content)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in weights.items() if not name.startswith(UNUSED)}


def _is_weight(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _read(path: Path) -> object:
    if not path.is_file():
        what = "not found" if not path.exists() else "found a folder" if path.is_dir() else "found no regular file"
        raise ForeignError(f"{path}: {what}; allowed: a file of weights")
    with open(path, "rb"):
        pass  # what the system says of a file has a number here, and none from safetensors
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_size(path)
        with warnings.catch_warnings(action="ignore"):  # on the form of what is refused or read all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        asked = ASKED.search(str(error))
        if not asked:
            raise _unreadable(path) from error
        what = f"a pickle with other objects than tensors and plain values, or with code ({cut(asked[1])}); not read"
        mend = "where it was made, save the state dict alone: safetensors, or torch.save(model.state_dict(), FILE)"
        raise ForeignError(f"{path}: {what}; {mend}") from error
    except Exception as error:  # rubbish raises anything, and what it says means nothing
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ForeignError:
    allowed = "safetensors, or what torch.save wrote of tensors and plain values alone"
    return ForeignError(f"{path}: can't be read as weights; allowed: {allowed}, whole")


def _check_size(path: Path) -> None:
    """Refuses a zip file that unpacks to more than it holds: torch.save compresses nothing.

    Raises:
        ForeignError: for one that does.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > path.stat().st_size:
            what = f"its {path.stat().st_size:,} bytes unpack to {unpacked:,}, and torch.save compresses nothing"
            raise ForeignError(f"{path}: {what}; refused, get it from somebody you trust")
