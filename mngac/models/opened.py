"""Any file of a classifier, opened: our own, which names its model, or anybody's, for which the model is given."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mngac import tensors
from mngac.models import weights
from mngac.models.files import Architecture, architecture_of, load_classifier
from mngac.models.foreign import load_foreign
from mngac.params.errors import ParamsError, shown


def open_classifier(path: str | Path, model: str | None, classes: int, shape: tuple[int, ...]) -> nn.Module:
    """The classifier of a file, on the CPU, in eval mode, without gradients to its weights.

    Args:
        path: a classifier file of this project, a state dict, safetensors, the authors' or RobustBench's form.
        model: such as wrn_28_10; None where the file names it.
        classes: number of logits.
        shape: (channels, height, width) of the images.

    Raises:
        ParamsError: where the model is not known, or is not the file's, or was made for other images or classes.
        ForeignError: for a file that does not hold the model's weights.
        UserError: for weights that are not finite.
    """
    own = model_named_in(path)
    if own and model and own != model:
        raise ParamsError(f"--model: found {model}; allowed: {own}, which {path} names")
    if own:
        _check_images(path, classes, shape)
        return load_classifier(path, "cpu")
    if model is None:
        allowed = "such as wrn_28_10, or package.module:function"
        raise ParamsError(f"--model: missing; {path} does not name its model; allowed: {allowed}")
    return load_foreign(path, model, classes, shape[0], shape[1])


def build_classifier(model: str, classes: int, shape: tuple[int, ...]) -> nn.Module:
    """The classifier of a function that loads its own weights, as `open_classifier` gives one.

    Raises:
        ParamsError: where the function raises, or returns something else than a module and logits (batch, classes).
        UserError: for weights that are not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = Architecture(model, classes, shape[0], shape[1]).build()
    weights.check_finite(model, classifier.state_dict())
    return classifier.eval().requires_grad_(False)


def model_named_in(path: str | Path) -> str | None:
    """The model that a file of this project names; None for anybody else's.

    Raises:
        UserError: for a safetensors file that is cut short, or says something else than a model's name.
    """
    if Path(path).suffix != ".safetensors" or not Path(path).exists():
        return None
    return architecture_of(path).model if tensors.facts(path) else None


def refuse_code(path: str | Path, named: str | None, stated: str | None) -> None:
    """Refuses to run a function because a file names it.

    Args:
        path: of the file.
        named: the `package.module:function` that the file names, or None.
        stated: what the user says that the model is, or None.

    Raises:
        ParamsError: unless the user says what it is.
    """
    if named and not stated:
        what = f"{path} asks to run {shown(named)}, which is code; allowed: that name, where you trust it"
        raise ParamsError(f"--model: missing; {what}")


def _check_images(path: str | Path, classes: int, shape: tuple[int, ...]) -> None:
    own = architecture_of(path)
    made_for = (own.classes, own.channels, own.size, own.size)
    if made_for != (classes, *shape):
        raise ParamsError(
            f"--checkpoint: {path} is made for {_images(made_for)}; allowed: one for {_images((classes, *shape))}"
        )


def _images(sizes: tuple[int, ...]) -> str:
    classes, *shape = sizes
    return f"{classes} classes of {'x'.join(map(str, shape))} images"
