"""Evaluation: (classifier, suite, radii) -> what happened to each image. Importable for any callable.

Every attack of a norm sees first the images that are still right, in batches packed anew, so the flags give the worst
case of a norm exactly, and AutoAttack's parts in its order give AutoAttack's own result. In the mode `all` an attack
then sees the images that were broken before it, too: that completes its column and changes no worst case.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mngac.data import store
from mngac.evaluation.acceptance import reproducible, right
from mngac.evaluation.isolated import isolated
from mngac.evaluation.probes import probe
from mngac.evaluation.tasks import AttackFailed, Classifier, Finished, Runner, Task, Workers, guarded
from mngac.models.files import load_classifier
from mngac.params.errors import UserError
from mngac.params.registry import find
from mngac.params.sections import AttackConfig, Radii, Suite
from mngac.params.suites import radii_of, suite_of
from mngac.params.types import number
from mngac.pipeline.cache import write_text
from mngac.pipeline.jobs import Context
from mngac.pipeline.progress import Log
from mngac.pipeline.provenance import provenance
from mngac.results import red_flags
from mngac.results.records import SCHEMA, AttackRecord, Record, worst_case

__all__ = ["AttackFailed", "Classifier", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """Per image: clean correctness and each attack's flags; red flags; seconds of each attack."""

    clean: str
    attacks: list[AttackRecord]
    flags: list[str]
    seconds: dict[str, float]

    def robust(self, norm: str) -> list[bool]:
        """Per image: right on the clean image and under every attack of the norm (worst case)."""
        return worst_case(self.clean, *(a.correct for a in self.attacks if a.norm == norm))

    def union(self) -> list[bool]:
        """Per image: right on the clean image and under every attack of every norm."""
        return worst_case(self.clean, *(a.correct for a in self.attacks))

    def record(
        self, indices: list[int], provenance: dict[str, Any], training: dict[str, Any] | None = None, **who: Any
    ) -> Record:
        """The record of this evaluation.

        Args:
            indices: of the images in their data set.
            provenance: where it comes from.
            training: what the training cost, where that is known.
            who: dataset, split, method, seed, suite, profile.
        """
        return Record(
            schema_=SCHEMA,
            n=len(self.clean),
            indices=indices,
            clean=self.clean,
            attacks=self.attacks,
            flags=self.flags,
            timing={"seconds": self.seconds, **({"training": training} if training else {})},
            provenance=provenance,
            **who,
        )


class Silent(Log):
    """Says nothing and shows nothing."""

    def line(self, text: str) -> None:
        """Drops the line."""

    def bar(self, total: int, done: int, task: str, scale: bool = False) -> tqdm:
        """A bar that is never drawn."""
        return tqdm(total=total, initial=done, disable=True)


def evaluate(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    suite: Suite | str,
    radii: Radii | Mapping[str, str | float],
    *,
    device: str | torch.device = "cpu",
    resume: Path | None = None,
    log: Log | None = None,
) -> Evaluation:
    """Attacks a classifier with a suite.

    The global random generators are left as found, and so are the classifier's mode and its weights' gradients.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,), from 0 to one less than the classifier's classes.
        suite: attacks and their settings, batch size, seed; or the name of one that the package ships.
        radii: of the norms' balls, on images in [0, 1]; or a mapping from the norms that the suite attacks, such as
            {"linf": "8/255"}.
        device: where batches are put.
        resume: a file for finished tasks; where it exists, they are not run again.
        log: where progress is shown; nowhere by default.

    Raises:
        AttackFailed: where an attack or the classifier raises, with the attack's name and the images' positions.
        ParamsError: for a suite that is not shipped or sets what its attacks do not read, radii that are wrong or
            missing.
        UserError: for images or labels of another type, shape or range, or not as many labels as images.
    """
    suite = suite_of(suite)
    radii = radii_of(suite, radii)
    device = str(device)
    _check(images, labels)
    runner = Runner(classifier, images, labels, suite.seed, device)
    processes = 1 if device.startswith("cuda") else suite.processes
    log = log or Silent()
    with frozen(classifier), isolated(suite.seed), Workers(runner, Finished(resume), processes) as workers:
        started = time.monotonic()
        clean, flags = _clean(runner, suite.batch_size)
        seconds = round(time.monotonic() - started, 3)
        log.line(f"{log.name}  clean: {100 * clean.float().mean():.1f} % right, {seconds:.1f} s")
        run = _Run(suite, radii, clean, workers, log)
        attacks = [run.attack(name, entry) for name, entry in zip(_names(suite), suite.attacks, strict=True)]
    blind = [_black_box(entry) for entry in suite.attacks]
    flags += red_flags.overstates([entry.model_dump(exclude_none=True) for entry in suite.attacks])
    flags += red_flags.at_chance(int(clean.sum()), len(clean), runner.classes)
    flags += _fewer_targets(suite, runner.classes) + red_flags.black_box_wins(attacks, blind, len(labels))
    return Evaluation(_bits(clean), attacks, flags, {"clean": seconds, **run.seconds})


def _check(images: Tensor, labels: Tensor) -> None:
    for what, given in (("images", images), ("labels", labels)):
        if not isinstance(given, Tensor):
            raise UserError(f"{what}: found {type(given).__name__}; allowed: a tensor, such as torch.as_tensor({what})")
    if images.dim() != 4:
        raise UserError(f"images: found the shape {tuple(images.shape)}; allowed: (n, channels, height, width)")
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise UserError(f"labels: found {labels.dtype} {tuple(labels.shape)}; allowed: torch.int64 (n,)")
    if len(images) != len(labels) or not len(images):
        raise UserError(f"{len(images)} images and {len(labels)} labels; allowed: as many, at least one")
    if images.dtype != torch.uint8 and not bool(((images >= 0) & (images <= 1)).all()):
        raise UserError(f"images from {images.min():.3g} to {images.max():.3g}; allowed: uint8, or float in [0, 1]")


def _check_range(labels: Tensor, classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UserError(f"labels: found {low} to {high}; allowed: 0 to {classes - 1}, the classifier's classes")


@contextlib.contextmanager
def frozen(classifier: Classifier) -> Iterator[None]:
    """Takes the weights out of all gradients for a while; some attacks would fill them."""
    weights = list(classifier.parameters()) if isinstance(classifier, nn.Module) else []
    wanted = [w.requires_grad for w in weights]
    try:
        for w in weights:
            w.requires_grad_(False)
        yield
    finally:
        for w, flag in zip(weights, wanted, strict=True):
            w.requires_grad_(flag)


@torch.no_grad()
def _clean(runner: Runner, batch_size: int) -> tuple[Tensor, list[str]]:
    """Per image: right without attack, bool (n,); and the classifier's red flags. Tells the runner what it predicts."""
    correct, predictions, flags = [], [], []
    for number_of_batch, positions in enumerate(torch.arange(len(runner.labels)).split(batch_size)):
        index = positions.tolist()
        x, y = runner.batch(index)
        with guarded("clean", index), reproducible(tensor_float32=False):
            logits = runner.classifier(x).float()
            runner.classes = logits.shape[1]
            _check_range(runner.labels, runner.classes)
            correct.append(right(logits, y).cpu())
            predictions.append(logits.argmax(1).cpu())
        if not number_of_batch:
            with guarded("probe", index), reproducible(tensor_float32=False):
                flags = probe(runner.classifier, x, y)
    runner.predictions = torch.cat(predictions)
    return torch.cat(correct), flags


class _Run:
    """The attacks of a suite in their order, and who is still right under each norm."""

    def __init__(self, suite: Suite, radii: Radii, clean: Tensor, workers: Workers, log: Log):
        self.suite, self.radii, self.clean, self.workers, self.log = suite, radii, clean, workers, log
        self.robust = {norm: clean.clone() for norm in type(radii).model_fields}
        self.seconds: dict[str, float] = {}

    def attack(self, name: str, entry: AttackConfig) -> AttackRecord:
        """One attack: on the images still right under its norm, then in the mode `all` on those broken before."""
        radius = getattr(self.radii, entry.norm)
        robust, title = self.robust[entry.norm], f"{name} {entry.norm}"
        tasks = self._tasks(title, entry, number(radius), robust)
        if self.suite.mode == "all":
            tasks += self._tasks(f"{title} broken before", entry, number(radius), self.clean & ~robust)
        blank = "0" if self.suite.mode == "all" else "."
        correct = ["." if c else blank for c in self.clean.tolist()]
        found = self._collect(title, tasks, correct, robust)
        self.robust[entry.norm] = robust & torch.tensor([flag == "1" for flag in correct])
        self.seconds[title] = round(sum(f["seconds"] for f in found), 3)
        rejected = sum(f["outcome"].count(-1) for f in found)
        share = 100 * self.robust[entry.norm].float().mean().item()
        note = f", {rejected} outputs rejected" if rejected else ""
        self.log.line(f"{self.log.name}  {title} at {radius}: {share:.1f} % robust, {self.seconds[title]:.1f} s{note}")
        return AttackRecord(
            name=name,
            norm=entry.norm,
            radius=str(radius),
            correct="".join(correct),
            rejected=rejected,
            forwards=sum(f["forwards"] for f in found),
        )

    def _tasks(self, title: str, entry: AttackConfig, radius: float, chosen: Tensor) -> list[Task]:
        batches = chosen.nonzero().flatten().split(self.suite.batch_size)
        return [Task(f"{title} {k}", entry, radius, index.tolist()) for k, index in enumerate(batches) if len(index)]

    def _collect(self, title: str, tasks: list[Task], correct: list[str], robust: Tensor) -> list[dict[str, Any]]:
        """Runs the tasks, writes the images' flags into `correct`, and shows how the robust accuracy falls."""
        found = []
        left = int(robust.sum())
        with self.log.bar(sum(len(u.index) for u in tasks), 0, " images") as bar:
            bar.set_description(f"{self.log.name} {title}")
            for finding in self.workers.run(tasks):
                for position, outcome in zip(finding["index"], finding["outcome"], strict=True):
                    correct[position] = "0" if outcome == 1 else "1"
                    left -= bool(outcome == 1 and robust[position])
                bar.update(len(finding["index"]))
                bar.set_postfix(robust=f"{100 * left / len(robust):.1f} %")
                found.append(finding)
        return found


def _names(suite: Suite) -> list[str]:
    """The attacks' names, numbered where one stands twice for a norm."""
    seen: dict[tuple[str, str], int] = {}
    names = []
    for entry in suite.attacks:
        count = seen[entry.attack, entry.norm] = seen.get((entry.attack, entry.norm), 0) + 1
        names.append(entry.attack if count == 1 else f"{entry.attack}_{count}")
    return names


def _bits(correct: Tensor) -> str:
    return "".join("1" if c else "0" for c in correct.tolist())


def _black_box(entry: AttackConfig) -> bool:
    return getattr(importlib.import_module(find("evaluation/attacks", entry.attack).module), "BLACK_BOX", False)


def _fewer_targets(suite: Suite, classes: int) -> list[str]:
    """A flag for each targeted attack that has fewer classes to aim at than the suite says."""
    return [
        f"{entry.attack} {entry.norm} is not standard: {classes - 1} target classes in place of {entry.targets}"
        for entry in suite.attacks
        if entry.targets and entry.targets > classes - 1
    ]


def run(context: Context) -> None:
    """Writes the record of a job of the DAG."""
    params, w = context.job.params, context.job.wildcards
    torch.set_num_threads(params.run.threads)
    suite, radii = params.evaluation[w["suite"]], params.radii_for(w["profile"], w["dataset"])
    part = store.load(context.job.inputs["data"]).split(params.run.split)
    n = min(suite.n or len(part), len(part))
    result = evaluate(
        load_classifier(context.job.inputs["classifier"], context.device),
        part.images[:n],
        part.labels[:n],
        suite,
        radii,
        device=context.device,
        resume=context.work / "tasks.jsonl",
        log=context.log,
    )
    record = result.record(
        part.index[:n].tolist(),
        provenance(context.key, context.key_parts, context.device),
        json.loads(Path(context.job.inputs["training"]).read_text()),
        split=params.run.split,
        **{**w, "seed": int(w["seed"])},
    )
    write_text(context.job.outputs["record"], record.to_json())
