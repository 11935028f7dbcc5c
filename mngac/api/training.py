"""`mngac.train`: one training on images in memory, without files and without a DAG."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mngac.data.prepare import held_out
from mngac.data.store import DataSet, Split, digest_of, empty_like
from mngac.evaluation.loop import Silent, check_images
from mngac.models.files import Architecture, load_classifier, save_classifier
from mngac.params.checks import parse
from mngac.params.errors import UserError, listed, shown
from mngac.params.sections import Params
from mngac.params.shipped import shipped
from mngac.params.yaml_file import read
from mngac.pipeline.jobs import Job
from mngac.pipeline.progress import Log
from mngac.pipeline.stages import STAGES
from mngac.training.stage import plan_of
from mngac.training.trainer import Trainer

NAME = "images"
"""What the images are called in parameters, and so in what is said of them."""
FILES = ("classifier.safetensors", "generator.safetensors", "train.jsonl", "train.json")


@dataclass(frozen=True)
class Trained:
    """A classifier, and what its training was.

    `classifier` takes images in [0, 1] and is in eval mode, without gradients to its weights; `epochs` has a line an
    epoch (train.jsonl: loss, learning rate, accuracies on validation images in percent), `summary` what was seen and
    what it cost (train.json). `method` and `training` are the resolved parameters.
    """

    classifier: nn.Module
    epochs: list[dict[str, Any]]
    summary: dict[str, Any]
    method: dict[str, Any]
    training: dict[str, Any]
    architecture: Architecture

    def save(self, path: str | Path) -> None:
        """Writes the classifier as `mngac.load_classifier` and `mngac evaluate --checkpoint` read it.

        Raises:
            UserError: where there is no room or no permission.
        """
        save_classifier(path, self.classifier, self.architecture)


def train(
    method: str | Mapping[str, Any],
    images: Tensor,
    labels: Tensor,
    *,
    radii: Mapping[str, str | float],
    training: Mapping[str, Any] | None = None,
    validation: float | tuple[Tensor, Tensor] = 0.1,
    pseudo_labelled: tuple[Tensor, Tensor] | None = None,
    classes: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    folder: str | Path | None = None,
    progress: bool = False,
) -> Trained:
    """Trains a classifier, as the pipeline would with these parameters.

    Args:
        method: a name of the package's params.yaml, such as mng_ac, sat or trades_linf; or an entry, such as
            {"like": "sat_ac", "beta": 6} or {"kind": "package.module:Class"}.
        images: uint8 (n, channels, size, size).
        labels: int64 (n,).
        radii: of the balls of linf, l1 and l2, on images in [0, 1]: {"linf": "8/255", "l1": 12, "l2": 0.5}.
        training: what differs from `training.default` of the package's params.yaml, such as {"model": "wrn_10_1",
            "epochs": 12, "schedule": {"peak": 0.2, "peak_epoch": 5}}, or from another's, {"like": "digits"}.
        validation: images that are monitored each epoch and not trained on: a share of the images, drawn class by
            class, or images and labels of one's own.
        pseudo_labelled: further images and their labels, mixed into every batch as `training.semi` says.
        classes: number of logits; by default one more than the largest label.
        seed: of the training.
        device: cpu or cuda.
        folder: where checkpoints and the files of a training are kept, so that the same call goes on where one was
            stopped; by default none are.
        progress: whether epochs are printed.

    Raises:
        UserError: for an unknown method or key, a value out of range, images or labels of another type or shape, and a
            folder that holds another training's checkpoint.
        BadStepError: where a loss or a weight is not finite.
    """
    data = _data(images, labels, validation, pseudo_labelled, classes)
    name, params = _params(method, radii, training)
    job = Job(STAGES["train"], {"dataset": NAME, "method": name, "seed": str(seed)}, params)
    log = Log() if progress else Silent()
    log.name = f"{NAME}-{name}-{seed}"
    with tempfile.TemporaryDirectory(prefix="mngac-") as temporary:
        home = Path(temporary if folder is None else folder)
        home.mkdir(parents=True, exist_ok=True)
        pseudo = None if pseudo_labelled is None else data.split("unlabelled").labels
        plan = plan_of(job, device)
        trainer = Trainer(data, plan, home, pseudo, log=log)
        trainer.run()
        files = {file: str(home / file) for file in FILES}
        trainer.write(files)
        classifier = load_classifier(files[FILES[0]], device)
        epochs = [json.loads(line) for line in Path(files["train.jsonl"]).read_text(encoding="utf-8").splitlines()]
    stated = plan.method.model_dump(exclude_none=True), plan.training.read_on(device)
    return Trained(classifier, epochs, trainer.summary(), *stated, trainer.architecture)


def _params(
    method: str | Mapping[str, Any], radii: Mapping[str, str | float], training: Mapping[str, Any] | None
) -> tuple[str, Params]:
    """The method's name, and the package's parameters with what is said here in them, checked as a whole."""
    raw: Any = read(str(shipped("params.yaml")))
    name = method if isinstance(method, str) else "own"
    if not isinstance(method, str):
        raw["methods"][name] = dict(method)
    elif name not in raw["methods"]:
        raise UserError(f"method: found {shown(method)}; allowed: one of {listed(raw['methods'], method)}, or an entry")
    raw["data"][NAME] = {"like": "digits"}  # a name that training and radii may have; nothing is read from it
    raw["training"][NAME] = dict(training or {})
    for profile in raw["radii"].values():
        profile[NAME] = dict(radii)
    return name, parse(raw)


def _data(
    images: Tensor,
    labels: Tensor,
    validation: float | tuple[Tensor, Tensor],
    pseudo_labelled: tuple[Tensor, Tensor] | None,
    classes: int | None,
) -> DataSet:
    """The images as a data set without test images."""
    everything = [(images, labels), *([pseudo_labelled] if pseudo_labelled else [])]
    if isinstance(validation, tuple):
        everything.append(validation)
    for x, y in everything:
        check_images(x, y)
        if x.dtype != torch.uint8 or x.shape[1:] != images.shape[1:] or x.shape[2] != x.shape[3]:
            raise UserError(f"images: found {x.dtype} {tuple(x.shape)}; allowed: torch.uint8, square, all of one size")
    low, high = min(int(y.min()) for _, y in everything), max(int(y.max()) for _, y in everything)
    count = high + 1 if classes is None else classes
    if low < 0 or high >= count:
        raise UserError(f"labels: found {low} to {high}; allowed: 0 to {count - 1}")
    kept = torch.arange(len(labels))
    if isinstance(validation, tuple):
        held = _split(*validation)
    elif 0 < validation < 1:
        kept, chosen = held_out(labels, (validation,), ordered=False)
        held = Split(images[chosen], labels[chosen], chosen)
    else:
        raise UserError(f"validation: found {shown(validation)}; allowed: a share, above 0 and below 1, or two tensors")
    splits = {
        "train": Split(images[kept], labels[kept], kept),
        "validation": held,
        "unlabelled": _split(*pseudo_labelled) if pseudo_labelled else empty_like(images),
        "test": empty_like(images),
    }
    return DataSet(splits, [str(k) for k in range(count)], digest_of(splits))


def _split(images: Tensor, labels: Tensor) -> Split:
    return Split(images, labels, torch.arange(len(labels)))
