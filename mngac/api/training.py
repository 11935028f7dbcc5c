"""`mngac.train`: one training on images in memory, without files and without a DAG."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mngac.api.given import device_of, mapping, pair, whole
from mngac.data.prepare import held_out
from mngac.data.store import DataSet, Split, digest_of, empty_like
from mngac.evaluation.isolated import isolated
from mngac.evaluation.loop import Silent, check_images
from mngac.models.files import Architecture, load_classifier, save_classifier
from mngac.params.checks import parse
from mngac.params.errors import UserError, listed, shown
from mngac.params.sections import Params
from mngac.params.shipped import shipped
from mngac.params.yaml_file import read
from mngac.pipeline import code
from mngac.pipeline.fingerprint import code_digest
from mngac.pipeline.jobs import Job
from mngac.pipeline.progress import Log
from mngac.pipeline.stages import STAGES
from mngac.training.stage import plan_of
from mngac.training.trainer import Trainer

NAME = "images"
"""What the images are called in parameters, and so in what is said of them."""
TEACHER = "labels_given"
"""What stands in a run for who labelled the images that are pseudo-labelled."""
NEED_A_START = ("eat_ft", "ramp_ft", "soup")
"""Rows that fine-tune: docs/newer_methods.md."""
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
    validation: float | Sequence[Tensor] = 0.1,
    pseudo_labelled: tuple[Tensor, Tensor] | None = None,
    classes: int | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    folder: str | Path | None = None,
    progress: bool = False,
) -> Trained:
    """Trains a classifier, as the pipeline would with these parameters.

    The global random generators are left as found. Rows that go on from another classifier (eat_ft, ramp_ft, soup) need
    the pipeline.

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
        folder: where checkpoints, written every few minutes, and the files of a finished training are kept, so that the
            same call goes on where one was stopped; files of another training in it are replaced. By default none are.
        progress: whether epochs are printed.

    Raises:
        UserError: for an unknown method or key, a value out of range, images or labels of another type or shape, and a
            folder that holds the checkpoint of another training, or of other code.
        BadStepError: where a loss or a weight is not finite.
    """
    data = _data(images, labels, validation, pseudo_labelled, classes)
    name, params = _params(method, radii, training, semi=pseudo_labelled is not None)
    where = device_of(device)
    whole("seed", seed, 0)
    job = Job(STAGES["train"], {"dataset": NAME, "method": name, "seed": str(seed)}, params)
    log = Log() if progress else Silent()
    log.name = f"{NAME}-{name}-{seed}"
    with tempfile.TemporaryDirectory(prefix="mngac-") as temporary, isolated(seed), _as_it_was():
        home = Path(temporary if folder is None else folder)
        if home.exists() and not home.is_dir():
            raise UserError(f"folder: found the file {home}; allowed: a folder, new or of this very training")
        home.mkdir(parents=True, exist_ok=True)
        pseudo = None if pseudo_labelled is None else data.split("unlabelled").labels
        plan = plan_of(job, where)
        if folder is not None:
            plan = replace(plan, code=code_digest(code.train(params, job.wildcards)))
        trainer = Trainer(data, plan, home, pseudo, log=log)
        trainer.run()
        files = {file: str(home / file) for file in FILES}
        trainer.write(files)
        classifier = load_classifier(files[FILES[0]], where)
        epochs = [json.loads(line) for line in Path(files["train.jsonl"]).read_text(encoding="utf-8").splitlines()]
    stated = plan.method.model_dump(exclude_none=True), plan.training.read_on(where)
    return Trained(classifier, epochs, trainer.summary(), *stated, trainer.architecture)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Leaves cuDNN's choice of algorithms, which a training makes for the process, as it was."""
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark


def _params(
    method: str | Mapping[str, Any],
    radii: Mapping[str, str | float],
    training: Mapping[str, Any] | None,
    *,
    semi: bool,
) -> tuple[str, Params]:
    """The method's name, and the package's parameters with what is said here in them, checked as a run of it alone."""
    raw: Any = read(str(shipped("params.yaml")))
    name = method if isinstance(method, str) else "own"
    if not isinstance(method, str):
        raw["methods"][name] = mapping("method", method, '{"like": "sat", "beta": 6}, or a name')
    elif name not in raw["methods"]:
        raise UserError(f"method: found {shown(method)}; allowed: one of {listed(raw['methods'], method)}, or an entry")
    _check_kin(raw, name, semi)
    # A name that training and radii may have; nothing is read from it.
    raw["data"][NAME] = {"like": "digits", "additional": "images.npz"}
    raw["training"][NAME] = {} if training is None else mapping("training", training, '{"epochs": 12}')
    for profile in raw["radii"].values():
        profile[NAME] = mapping("radii", radii, '{"linf": "8/255", "l1": 12, "l2": 0.5}')
    raw["run"] |= _run_of(raw, name, semi)
    params = parse(raw)
    share = params.training_for(NAME, name).additional_share
    if share:
        raise UserError(f"training.additional_share: found {share}; allowed: 0, in memory")
    return name, params


def _run_of(raw: Any, name: str, semi: bool) -> dict[str, list[str]]:
    """A run of this training alone; labels of unlabelled images are in a run by a teacher, here they are given."""
    nothing: dict[str, list[str]] = {key: [] for key in ("tuned", "challenges", "attack_spaces", "hypotheses")}
    if not semi:
        return {**nothing, "datasets": [NAME], "methods": [name], "semi_methods": [], "teachers": []}
    raw["methods"][TEACHER] = {"kind": "natural"}
    return {**nothing, "datasets": [NAME], "methods": [TEACHER], "semi_methods": [name], "teachers": [TEACHER]}


def _check_kin(raw: Any, name: str, semi: bool) -> None:
    """Refuses what would train something else than its name says, or than that of a row that it is `like`."""
    kin, entry = [name], raw["methods"][name]
    while isinstance(entry, Mapping) and isinstance(entry.get("like"), str) and entry["like"] not in kin:
        kin.append(entry["like"])
        entry = raw["methods"].get(kin[-1])
    soup = isinstance(entry, Mapping) and entry.get("kind") == "soup"
    if soup or set(NEED_A_START) & set(kin):
        found = next((each for each in kin if each in NEED_A_START), name)
        raise UserError(
            f"method: found {found}, which goes on from another classifier; allowed: a method that begins anew"
        )
    needy = set(raw["run"]["semi_methods"]) & set(kin)
    if needy and not semi:
        raise UserError(f"pseudo_labelled: missing; allowed: images and labels, which {min(needy)} is trained with")


def _data(
    images: Tensor,
    labels: Tensor,
    validation: float | Sequence[Tensor],
    pseudo_labelled: tuple[Tensor, Tensor] | None,
    classes: int | None,
) -> DataSet:
    """The images as a data set without test images."""
    share = validation if isinstance(validation, float) and 0 < validation < 1 else None
    everything = [(images, labels)]
    if pseudo_labelled is not None:
        everything.append(pair("pseudo_labelled", pseudo_labelled))
    if share is None:
        if isinstance(validation, (int, float, str)) or validation is None:
            raise UserError(
                f"validation: found {shown(validation)}; allowed: a share above 0 and below 1, or two tensors"
            )
        everything.append(pair("validation", validation))
    for x, y in everything:
        check_images(x, y)
        if x.dtype != torch.uint8 or x.shape[1:] != images.shape[1:] or x.shape[2] != x.shape[3]:
            raise UserError(f"images: found {x.dtype} {tuple(x.shape)}; allowed: torch.uint8, square, all of one size")
    low, high = min(int(y.min()) for _, y in everything), max(int(y.max()) for _, y in everything)
    count = high + 1 if classes is None else whole("classes", classes, 1)
    if low < 0 or high >= count:
        raise UserError(f"labels: found {low} to {high}; allowed: 0 to {count - 1}")
    kept = torch.arange(len(labels))
    if share is None:
        held = _split(*everything[-1])
    else:
        kept, chosen = held_out(labels, (share,), ordered=False)
        held = Split(images[chosen], labels[chosen], chosen)
        if not len(chosen) or not len(kept):
            raise UserError(
                f"validation: found {share} of {len(labels)} images; allowed: a share of at least one image"
            )
    splits = {
        "train": Split(images[kept], labels[kept], kept),
        "validation": held,
        "unlabelled": _split(*pseudo_labelled) if pseudo_labelled else empty_like(images),
        "test": empty_like(images),
    }
    return DataSet(splits, [str(k) for k in range(count)], digest_of(splits))


def _split(images: Tensor, labels: Tensor) -> Split:
    return Split(images, labels, torch.arange(len(labels)))
