"""Classifier files: safetensors that say which model they hold, so that a file is enough to evaluate it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from mngac import tensors
from mngac.models import weights
from mngac.models.layout import lay_out
from mngac.params.errors import ParamsError, UserError, shown
from mngac.params.modules import told
from mngac.params.registry import Found, find

MOST = {"classes": 1_000_000, "channels": 1024, "size": 8192}
"""What a file may say that a classifier was made for, at most."""


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a classifier: model name, number of classes, image channels and image size."""

    model: str
    classes: int
    channels: int
    size: int

    def build(self) -> nn.Module:
        """The classifier with fresh weights from the global random generator.

        Raises:
            ParamsError: for a model that is not defined, or where the user's own function or module raises or returns
                something else than a module and logits (batch, classes).
        """
        builder = find("models", self.model)
        classifier: nn.Module = self._own(builder) if builder.own else builder.load()(self.model, *self._sizes)
        classifier.register_forward_pre_hook(self._check_shape)
        lay_out(classifier)
        return classifier

    @property
    def own(self) -> bool:
        """Whether a function of the user's own builds it.

        Raises:
            ParamsError: for a model that is not defined.
        """
        return find("models", self.model).own

    def check(self, found: Mapping[str, Tensor], path: str | Path) -> None:
        """Compares a file's weights with the model's before any memory is taken for it; one's own is tried at once.

        Raises:
            ForeignError: where the weights are not the model's.
        """
        if not self.own:
            with torch.device("meta"):
                empty = find("models", self.model).load()(self.model, *self._sizes)
            weights.check(empty, weights.completed(found, empty), path, self.model)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        return self.classes, self.channels, self.size

    def _own(self, builder: Found) -> nn.Module:
        """What the user's own function builds, tried on two black images and on three."""
        function = builder.load()
        call = f"{self.model}(classes={self.classes}, channels={self.channels}, size={self.size})"
        with _explained(call):
            classifier = function(*self._sizes)
        if not isinstance(classifier, nn.Module):
            raise ParamsError(f"{call}: found {type(classifier).__name__}; allowed: a torch.nn.Module")
        for count in (2, 3):
            self._try(f"{call}, on images {(count, *self._shape)}", classifier.eval(), count)
        return classifier.train()

    def _try(self, call: str, classifier: nn.Module, count: int) -> None:
        """Refuses what gives no logits for so many black images."""
        with _explained(call), torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = classifier(torch.zeros(count, *self._shape))
        wanted, shape = (count, self.classes), tuple(getattr(logits, "shape", ()))
        if shape != wanted:
            what = f"logits {shape}" if isinstance(logits, Tensor) else type(logits).__name__
            raise ParamsError(f"{call}: found {what}; allowed: logits {wanted}")
        if not logits.is_floating_point():
            raise ParamsError(f"{call}: found logits of {logits.dtype}; allowed: of floating point")

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    def _check_shape(self, classifier: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if tuple(inputs[0].shape[1:]) != self._shape:
            shapes = f"(batch, {', '.join(map(str, self._shape))}), not {tuple(inputs[0].shape)}"
            raise ValueError(f"{self.model} was built for images of shape {shapes}")


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """One line on what the user's own code raises."""
    try:
        yield
    except Exception as error:
        raise ParamsError(f"{what}: raised {told(error)}") from error


def save_classifier(path: str | Path, classifier: nn.Module, architecture: Architecture) -> None:
    """Writes weights and architecture; no time and no commit, so that equal weights are equal bytes.

    Raises:
        UserError: for weights that are not finite, of which nothing is written.
    """
    weights.check_finite(path, classifier.state_dict())
    tensors.write(path, classifier.state_dict(), **asdict(architecture))


def architecture_of(path: str | Path) -> Architecture:
    """What a classifier file says that it holds.

    Raises:
        UserError: for a file of another schema, one that is no whole safetensors file, or one that says nothing of the
            kind.
    """
    about = tensors.facts(path)
    tensors.check_schema(path, about)
    for name, most in MOST.items():
        found = about.get(name)
        if not isinstance(found, int) or not 0 < found <= most:
            raise UserError(f"{path}: {name}: found {shown(found)}; allowed: 1 to {most:,}; get or make it again")
    if not isinstance(about.get("model"), str):
        raise UserError(f"{path}: model: found {shown(about.get('model'))}; allowed: a name; get or make it again")
    return Architecture(**{field.name: about[field.name] for field in fields(Architecture)})


def load_classifier(path: str | Path, device: str) -> nn.Module:
    """The classifier of a file, in eval mode, without gradients to its weights.

    Raises:
        UserError: for a file of another schema, or of other weights than those of the model that it names, or of some
            that are not finite.
    """
    architecture = architecture_of(path)
    content, _ = tensors.read(path)
    architecture.check(content, path)
    with torch.random.fork_rng(devices=[]):
        classifier = architecture.build()
    weights.put(classifier, content, path, architecture.model)
    return classifier.to(device).eval().requires_grad_(False)
