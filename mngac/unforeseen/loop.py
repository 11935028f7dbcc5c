"""The attacks of an entry, each on every image that it asks about; finished batches are not run again.

The classifier is probed first: what makes it doubtful is a red flag, and one that says other things of the same image
is judged by all its answers together, as an evaluation judges it.

Importable for any callable of images to logits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import is_correct
from mngac.evaluation.consistency import NEIGHBOURS, same_among_few
from mngac.evaluation.isolated import isolated
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.probes import IMAGES, Probed, probe
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.tasks import Finding, Finished, Runner, guarded
from mngac.models.frozen import frozen_weights
from mngac.params.registry import find
from mngac.params.sections import Radii
from mngac.params.unforeseen import Unforeseen
from mngac.pipeline.progress import Log
from mngac.results.unforeseen import UnforeseenAttackRecord, by_severity
from mngac.unforeseen.base import About, Attack


@dataclass(frozen=True)
class Measured:
    """Per image: correct on the clean image, and under each attack; red flags; seconds of each attack."""

    clean: str
    attacks: list[UnforeseenAttackRecord]
    flags: list[str]
    seconds: dict[str, float]


def measure(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    entry: Unforeseen,
    radii: Radii,
    dataset: str,
    classes: int,
    *,
    device: str = "cpu",
    resume: Path | None = None,
    log: Log | None = None,
) -> Measured:
    """Attacks a classifier with an entry of `unforeseen`.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,).
        entry: attacks and their budgets, batch size, seed.
        radii: of the norms' balls, from which the affine mix has its own.
        dataset: name by which `sources` know an archive.
        classes: number of classes.
        device: where batches are put.
        resume: a file for finished batches of this very measurement; where it exists, they are not run again.
        log: where progress is shown.

    Raises:
        AttackFailed: where an attack or the classifier raises, with the attack's name and the images' positions.
        DataError: for an archive that is missing or of another form.
    """
    log = log or Log()
    about = About(dataset, (images.shape[1], images.shape[2], images.shape[3]), classes, radii, entry)
    attacks = named(entry, about)
    runner = Runner(classifier, images, labels, entry.seed, device, log=log)
    with frozen_weights(classifier), isolated(entry.seed):
        run = _Run(runner, entry.batch_size, Finished(resume, log=log), log)
        clean, flags = run.clean()
        records = [run.attack(name, attack, clean) for name, attack in attacks.items()]
    return Measured("".join("1" if c else "0" for c in clean.tolist()), records, flags, run.seconds)


def named(entry: Unforeseen, about: About) -> dict[str, Attack]:
    """The attacks of an entry by name, numbered where one stands twice."""
    attacks: dict[str, Attack] = {}
    for config in entry.attacks:
        kind = config.attack.replace(":", ".")
        count = 1 + sum(one.config.attack == config.attack for one in attacks.values())
        attacks[kind if count == 1 else f"{kind}_{count}"] = find("unforeseen/attacks", config.attack).load()(
            config, about
        )
    return attacks


class _Run:
    """The attacks on one classifier."""

    def __init__(self, runner: Runner, batch_size: int, finished: Finished, log: Log):
        self.runner, self.batch_size, self.finished, self.log = runner, batch_size, finished, log
        self.seconds: dict[str, float] = {}

    def _batches(self, positions: list[int]) -> list[list[int]]:
        return [positions[i : i + self.batch_size] for i in range(0, len(positions), self.batch_size)]

    def clean(self) -> tuple[Tensor, list[str]]:
        """Which images are correct without attack, bool (n,), and the classifier's red flags.

        One that says other things of the same image is asked a second time, in every way.
        """
        started = time.monotonic()
        correct, alike = self._clean()
        probed = self._probed(alike)
        if not probed.consistent:
            self.runner.consistent = False
            correct, _ = self._clean()
        self.seconds["clean"] = round(time.monotonic() - started, 3)
        self.log.line(f"{self.log.name}  clean: {100 * correct.float().mean():.1f} % correct")
        return correct, probed.flags

    @torch.no_grad()
    def _clean(self) -> tuple[Tensor, bool]:
        """The same, and whether in each batch images get the same logits without the others."""
        correct, alike = torch.zeros(len(self.runner.labels), dtype=torch.bool), True
        for positions in self._batches(list(range(len(correct)))):
            x, y = self.runner.batch(positions)
            with guarded("clean", positions), reproducible(tensor_float32=False):
                logits = self.runner.judge(x).float()
                if self.runner.consistent:
                    alike &= same_among_few(self.runner.classifier, x, logits)
                correct[positions] = is_correct(logits, y).cpu()
        return correct, alike

    def _probed(self, alike: bool) -> Probed:
        """The red flags, and whether the classifier is consistent: on the first images, and in every clean batch."""
        positions = list(range(min(self.batch_size, IMAGES, len(self.runner.labels))))
        with guarded("probe", positions), reproducible(tensor_float32=False):
            found = probe(self.runner.classifier, *self.runner.batch(positions))
        return found if alike or not found.consistent else Probed([*found.flags, NEIGHBOURS], consistent=False)

    def attack(self, name: str, attack: Attack, correct: Tensor) -> UnforeseenAttackRecord:
        """All columns of an attack."""
        columns: dict[str, str] = {}
        findings: list[Finding] = []
        for column in attack.columns:
            n, positions = attack.images(column, correct)
            marks = ["."] * n
            for number, batch in enumerate(self._batches(positions)):
                finding = self._found(f"{name} {column} {number}", attack, column, batch)
                findings.append(finding)
                for position, outcome in zip(finding.positions, finding.outcomes, strict=True):
                    marks[position] = outcome.mark
            columns[column] = "".join(marks)
        self.seconds[name] = round(sum(finding.seconds for finding in findings), 3)
        record = UnforeseenAttackRecord(
            name=name,
            attack=attack.config.attack,
            budget=attack.budget,
            columns=columns,
            severities=by_severity(columns),
            rejected=sum(finding.outcomes.count(Outcome.REJECTED) for finding in findings),
            forwards=sum(finding.forwards for finding in findings),
        )
        share = f"{record.share:.1f} % correct" if record.share is not None else "nothing to measure"
        self.log.line(f"{self.log.name}  {name}, {record.budget}: {share}, {self.seconds[name]:.1f} s")
        return record

    def _found(self, task: str, attack: Attack, column: str, positions: list[int]) -> Finding:
        """What an earlier run found for a batch, or what is found now."""
        known = self.finished.findings.get(task)
        if known and known.positions == positions:
            return known
        started = time.monotonic()
        with guarded(task, positions):
            outcomes, forwards = attack.outcomes(column, positions, self.runner)
        finding = Finding(task, positions, outcomes, forwards, round(time.monotonic() - started, 3))
        self.finished.add(finding)
        return finding
