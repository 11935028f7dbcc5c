"""`mngac.load_classifier`: a classifier from any file, from a function, or from a row of this folder's run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from mngac.api.given import device_of
from mngac.models.files import architecture_of
from mngac.models.files import load_classifier as load_own
from mngac.models.normalised import Normalised
from mngac.models.opened import build_classifier, model_named_in, open_classifier, refuse_code
from mngac.params.errors import UserError, shown

FILE = "classifier.safetensors"


def load_classifier(
    source: str | Path,
    *,
    model: str | None = None,
    classes: int | None = None,
    shape: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str | torch.device = "cpu",
) -> nn.Module:
    """A classifier of images in [0, 1], in eval mode, without gradients to its weights.

    Args:
        source: a file of weights: this project's own form, a state dict, safetensors, the authors' or RobustBench's
            form; a folder with a classifier.safetensors in it, such as an export; a row of the run in this folder,
            `digits/mng_ac` or `digits/mng_ac/seed1`; or `package.module:function`, which loads its own weights.
        model: such as wrn_28_10, or package.module:function; what a file of this project's own form names itself, but
            for a function, which is code and is run only where it is named here.
        classes: number of logits; needed where the file does not say it.
        shape: (channels, height, width) of the images; needed where the file does not say it.
        mean: one value or one a channel: the classifier gets (x - mean) / std.
        std: as `mean`.
        device: where it is put.

    Raises:
        UserError: for a file that is missing, damaged, of other weights than the model's or not finite, for a function
            that raises or returns something else, and where model, classes or shape are needed and missing.
    """
    if not isinstance(source, (str, Path)):
        raise UserError(f"source: found {type(source).__name__}; allowed: a path, a row, package.module:function")
    where = device_of(device)
    if isinstance(source, str) and ":" in source and not Path(source).exists():
        if model is not None:
            raise UserError(f"model: found {shown(model)}; allowed: none beside {source}, which is the model")
        classifier = build_classifier(source, *_sizes(source, classes, shape))
    else:
        classifier = _of_file(_file(source), model, classes, shape)
    if mean is not None or std is not None:
        classifier = Normalised(classifier, *_normalisation(mean, std, shape)).eval()
    return classifier.to(where)


def _normalisation(mean: object, std: object, shape: Sequence[int] | None) -> tuple[list[float], list[float]]:
    """Both, one value or one a channel each; every std above 0."""
    values = [list(each) if isinstance(each, (list, tuple)) else [] for each in (mean, std)]
    many = {1, shape[0]} if shape else {1, *map(len, values)}
    if len(values[0]) not in many or len(values[1]) not in many or not all(each > 0 for each in values[1]):
        allowed = "both, a list of one value or one a channel, std above 0"
        raise UserError(f"mean and std: found {shown(mean)} and {shown(std)}; allowed: {allowed}")
    return values[0], values[1]


def _file(source: str | Path) -> Path:
    """The file that a path, a folder or a row's name means."""
    path = Path(source)
    if path.is_dir():
        return path / FILE
    parts = str(source).split("/")
    if not path.exists() and len(parts) in (2, 3):
        row = Path("trained", *parts[:2], parts[2] if len(parts) == 3 else "seed0", FILE)
        if row.exists():
            return row
    return path


def _of_file(path: Path, model: str | None, classes: int | None, shape: Sequence[int] | None) -> nn.Module:
    if not path.exists():
        raise UserError(
            f"{path}: not found; allowed: a file of weights, a folder, a row such as digits/mng_ac, package.module:f"
        )
    if model_named_in(path):
        own = architecture_of(path)
        refuse_code(path, own.model if own.own else None, model)
        if classes is None and shape is None and model in (None, own.model):
            return load_own(path, "cpu")
    elif model is None:
        raise UserError(f"{path}: names no model; allowed: model=, such as wrn_28_10 or package.module:function")
    return open_classifier(path, model, *_sizes(path, classes, shape))


def _sizes(what: object, classes: int | None, shape: Sequence[int] | None) -> tuple[int, tuple[int, ...]]:
    if not isinstance(classes, int) or not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 3:
        found = f"classes {shown(classes)}, shape {shown(shape)}"
        raise UserError(f"{what}: found {found}; allowed: both, such as classes=10, shape=(3, 32, 32)")
    return classes, tuple(shape)
