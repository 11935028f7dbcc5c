"""Classifier files: safetensors that say which model they hold, so that a file is enough to evaluate it."""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mngac.artifacts import atomic
from mngac.stages import model_family

SCHEMA = "1"


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
            ValueError: for a model that is not defined.
        """
        family = importlib.import_module(f"mngac.models.{model_family(self.model)}")
        return family.build(self.model, self.classes, self.channels, self.size)


def save_classifier(path: str | Path, classifier: nn.Module, architecture: Architecture) -> None:
    """Writes weights and architecture; no time and no commit, so that equal weights are equal bytes."""
    about = {"schema": SCHEMA, **{k: str(v) for k, v in asdict(architecture).items()}}
    save_tensors(path, classifier.state_dict(), about)


def save_tensors(path: str | Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Writes tensors atomically, in plain memory order."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(plain, temporary, metadata=about)


def architecture_of(path: str | Path) -> Architecture:
    """What a classifier file says that it holds.

    Raises:
        ValueError: for a file of another schema.
    """
    with safe_open(path, "pt") as file:
        about = file.metadata() or {}
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {about.get('schema')!r}; this version reads schema {SCHEMA}")
    return Architecture(about["model"], *(int(about[name]) for name in ("classes", "channels", "size")))


def load_classifier(path: str | Path, device: str) -> nn.Module:
    """The classifier of a file, in eval mode, without gradients to its weights.

    Raises:
        ValueError: for a file of another schema.
    """
    architecture = architecture_of(path)
    with torch.random.fork_rng(devices=[]):
        classifier = architecture.build()
    classifier.load_state_dict(load_file(path))
    return classifier.to(device).eval().requires_grad_(False)
