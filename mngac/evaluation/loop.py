"""Evaluation: (classifier, suite, radii) -> what happened to each image. Importable for any callable.

Every attack of a norm sees first the images that are still correct, in batches packed anew, so the columns give the
worst case of a norm exactly, and AutoAttack's parts in its order give AutoAttack's own result. In the mode `all` an
attack then sees the images that were broken before it, too: that completes its column and changes no worst case.
A block of the images can be attacked by itself; what is found there is what the whole would find.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import is_correct
from mngac.evaluation.blocks import batches, in_block
from mngac.evaluation.consistency import NEIGHBOURS, same_among_few
from mngac.evaluation.flags import flags_of
from mngac.evaluation.isolated import isolated
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.probes import IMAGES, Probed, probe
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.tasks import (
    AttackFailed,
    Finding,
    Finished,
    Runner,
    Task,
    Workers,
    as_many_as_fit,
    guarded,
    ranges,
)
from mngac.models.frozen import frozen_weights
from mngac.params.errors import UserError
from mngac.params.sections import AttackConfig, Radii, Suite
from mngac.params.suites import radii_of, suite_of
from mngac.params.types import number
from mngac.pipeline.progress import Log
from mngac.results.records import AttackRecord, PerImage

__all__ = ["AttackFailed", "Classifier", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation(PerImage):
    """Per image: correct on the clean image, and under each attack; red flags; seconds of each attack."""

    clean: str
    attacks: list[AttackRecord]
    flags: list[str]
    seconds: dict[str, float]


class Silent(Log):
    """Says nothing and shows nothing."""

    def line(self, text: str) -> None:
        """Drops the line."""

    def step(self, text: str) -> None:
        """Drops the line."""

    def bar(self, total: int, done: int, unit: str, scale: bool = False) -> tqdm:
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
    known: Iterable[Finding] = (),
    standing: Sequence[bool] | None = None,
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
        resume: a file for finished tasks of this very evaluation; where it exists, they are not run again. That it is
            of the same classifier, images, suite and radii is the caller's to know.
        known: what was found in blocks of this very evaluation.
        standing: per image, whether it is to be attacked: false where an earlier evaluation of the same classifier and
            images at these radii broke it. The union is then that of both together. By default all are.
        log: where progress is shown; nowhere by default.

    Raises:
        AttackFailed: where an attack or the classifier raises, with the attack's name and the images' positions.
        ParamsError: for a suite that is not shipped or sets what its attacks do not read, radii that are wrong or
            missing.
        UserError: for images or labels of another type, shape or range, or not as many labels as images, or as many as
            `standing` has.
    """
    log = log or Silent()
    if standing is not None and len(standing) != len(labels):
        raise UserError(f"standing: found {len(standing)} images; allowed: as many as are given, {len(labels)}")
    with _attacked(classifier, images, labels, suite, radii, device, Finished(resume, known, log), log) as run:
        clean, seconds = run.clean(torch.ones(len(labels), dtype=torch.bool), standing)
        attacks = run.attacks()
        flags = [*run.probed.flags, *flags_of(run.suite, clean, attacks, run.classes)]
        return Evaluation(_bits(clean), attacks, flags, {"clean": seconds, **run.seconds})


AttackBlock = Callable[[int, Path | None], list[Finding]]
"""(number of a block, file for its finished tasks) -> what the attacks did to its images."""


@contextlib.contextmanager
def attacked_blocks(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    suite: Suite | str,
    radii: Radii | Mapping[str, str | float],
    *,
    device: str | torch.device = "cpu",
    log: Log | None = None,
) -> Iterator[AttackBlock]:
    """Attacks blocks of the images one at a time, for `evaluate(known=...)`.

    Arguments and errors are those of `evaluate`.
    """
    with _attacked(classifier, images, labels, suite, radii, device, Finished(None), log) as run:

        def attack(number: int, resume: Path | None) -> list[Finding]:
            run.workers.finished = Finished(resume, log=run.log)
            run.clean(in_block(len(labels), run.suite, number))
            run.attacks()
            return list(run.workers.finished.findings.values())

        yield attack


@contextlib.contextmanager
def _attacked(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    suite: Suite | str,
    radii: Radii | Mapping[str, str | float],
    device: str | torch.device,
    finished: Finished,
    log: Log | None,
) -> Iterator[_Run]:
    """The run of a suite's attacks, with what was given checked, and all as it was afterwards."""
    suite = suite_of(suite)
    radii = radii_of(suite, radii)
    device = str(device)
    check_images(images, labels)
    log = log or Silent()
    runner = Runner(classifier, images, labels, suite.seed, device, suite.compile, log)
    processes = 1 if device.startswith("cuda") else as_many_as_fit(suite.processes)
    with frozen_weights(classifier), isolated(suite.seed), Workers(runner, finished, processes) as workers:
        yield _Run(suite, radii, workers, log)


def check_images(images: Tensor, labels: Tensor) -> None:
    """Refuses what is no images with their labels, as `evaluate` says.

    Raises:
        UserError: naming what was found, and what is allowed.
    """
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


def check_range(labels: Tensor, classes: int) -> None:
    """Refuses labels int64 (n,) that a classifier of so many classes has no logit for.

    Raises:
        UserError: naming the range that was found, and the classes.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UserError(f"labels: found {low} to {high}; allowed: 0 to {classes - 1}, the classifier's classes")


class _Run:
    """The attacks of a suite in their order, and who is still correct under each norm."""

    def __init__(self, suite: Suite, radii: Radii, workers: Workers, log: Log):
        self.suite, self.radii, self.workers, self.log = suite, radii, workers, log
        self.seconds: dict[str, float] = {}

    def clean(self, mine: Tensor, standing: Sequence[bool] | None = None) -> tuple[Tensor, float]:
        """Per image: of those that are `mine`, correct without attack, bool (n,); and the seconds it took.

        Attacks see those that are correct and stand.
        """
        started = time.monotonic()
        self.mine, self.correct = mine, self.judged & mine
        self.attacked = self.correct if standing is None else self.correct & torch.tensor(standing)
        self.robust = {norm: self.attacked.clone() for norm in type(self.radii).model_fields}
        self.of = "" if mine.all() else f" of images {ranges(mine.nonzero().flatten().tolist())}"
        seconds = round(time.monotonic() - started, 3)
        self.log.line(f"{self.log.name}  clean: {self._percent(self.correct)} correct, {seconds:.1f} s")
        return self.correct, seconds

    @functools.cached_property
    def judged(self) -> Tensor:
        """Per image: correct without attack, bool (n,). Finds the predictions and the number of classes, too.

        A classifier that says other things of the same image is asked a second time, in every way. All images are asked
        about, whoever attacks them: so every shard judges alike.
        """
        correct = self._clean()
        if not self.probed.consistent:
            self.workers.runner.consistent = False
            correct = self._clean()
        return correct

    @torch.no_grad()
    def _clean(self) -> Tensor:
        runner, n = self.workers.runner, len(self.workers.runner.labels)
        correct, self.predictions = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.int64)
        self.alike = True
        for batch in batches(torch.ones(n, dtype=torch.bool), self.suite):
            x, y = runner.batch(batch.positions)
            with guarded("clean", batch.positions), reproducible(tensor_float32=False):
                logits = runner.judge(x).float()
                self.classes = logits.shape[1]
                check_range(runner.labels, self.classes)
                if runner.consistent:
                    self.alike &= same_among_few(runner.classifier, x, logits)
                correct[batch.positions] = is_correct(logits, y).cpu()
                self.predictions[batch.positions] = logits.argmax(1).cpu()
        return correct

    @functools.cached_property
    def probed(self) -> Probed:
        """The classifier's red flags, and whether it is consistent: on the first images, and in every clean batch."""
        runner = self.workers.runner
        positions = list(range(min(self.suite.batch_size, IMAGES, len(runner.labels))))
        with guarded("probe", positions), reproducible(tensor_float32=False):
            found = probe(runner.classifier, *runner.batch(positions))
        return found if self.alike or not found.consistent else Probed([*found.flags, NEIGHBOURS], consistent=False)

    def attacks(self) -> list[AttackRecord]:
        """What every attack did, after `clean`."""
        return [self._attack(name, entry) for name, entry in zip(_names(self.suite), self.suite.attacks, strict=True)]

    def _percent(self, correct: Tensor) -> str:
        return f"{100 * correct[self.mine].float().mean():.1f} %{self.of}"

    def _attack(self, name: str, config: AttackConfig) -> AttackRecord:
        """One attack: on the images still correct under its norm, then in the mode `all` on those broken before."""
        radius = getattr(self.radii, config.norm)
        robust, title = self.robust[config.norm], f"{name} {config.norm}"
        tasks = self._tasks(title, config, number(radius), robust)
        if self.suite.mode == "all":
            tasks += self._tasks(f"{title} broken before", config, number(radius), self.attacked & ~robust)
        findings = self._findings(title, tasks, robust)
        column = self._column(findings)
        self.robust[config.norm] = robust & torch.tensor([mark == "1" for mark in column])
        self.seconds[title] = round(sum(f.seconds for f in findings), 3)
        rejected = sum(f.outcomes.count(Outcome.REJECTED) for f in findings)
        share = self._percent(self.robust[config.norm])
        note = f", {rejected} outputs rejected" if rejected else ""
        self.log.line(f"{self.log.name}  {title} at {radius}: {share} robust, {self.seconds[title]:.1f} s{note}")
        return AttackRecord(
            name=name,
            norm=config.norm,
            radius=str(radius),
            correct=column,
            rejected=rejected,
            forwards=sum(f.forwards for f in findings),
        )

    def _tasks(self, title: str, config: AttackConfig, radius: float, chosen: Tensor) -> list[Task]:
        return [
            Task(
                f"{title} {batch.name}",
                config,
                radius,
                batch.positions,
                batch.block,
                self.predictions[slice(*batch.block)].clone(),
                self.classes,
            )
            for batch in batches(chosen, self.suite)
        ]

    def _findings(self, title: str, tasks: list[Task], robust: Tensor) -> list[Finding]:
        """Runs the tasks, and shows how the robust accuracy falls."""
        findings, robust_now = [], robust.clone()
        with self.log.bar(sum(len(t.positions) for t in tasks), 0, " images") as bar:
            bar.set_description(f"{self.log.name} {title}")
            for finding in self.workers.run(tasks):
                robust_now[finding.positions] &= torch.tensor([o is not Outcome.BROKEN for o in finding.outcomes])
                bar.update(len(finding.positions))
                bar.set_postfix(robust=self._percent(robust_now))
                findings.append(finding)
        return findings

    def _column(self, findings: list[Finding]) -> str:
        """A mark an image: `.` where it was not attacked; in the mode `all`, `0` where its clean image is wrong."""
        blank = "0" if self.suite.mode == "all" else "."
        column = ["." if c else blank for c in self.correct.tolist()]
        for finding in findings:
            for position, outcome in zip(finding.positions, finding.outcomes, strict=True):
                column[position] = outcome.mark
        return "".join(column)


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
