"""Evaluation: (classifier, suite, radii) -> what happened to each image. Importable for any callable.

Every attack of a norm sees only the images that are still right, cheapest attack first, so the flags give the worst
case a norm exactly. The unit of resuming is a batch of those survivors.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mngac.artifacts import key_of, write_text
from mngac.attacks.target import Target, accept
from mngac.data import store
from mngac.data.batches import to_unit
from mngac.fingerprint import ROOT
from mngac.models.files import load_classifier
from mngac.params import Radii, Suite, SuiteAttack, number
from mngac.progress import Log
from mngac.records import SCHEMA, AttackRecord, Record
from mngac.stages import Context

Classifier = Callable[[Tensor], Tensor]


class AttackFailed(RuntimeError):
    """An attack raised: it is neither robust nor broken, so the evaluation stops."""


class Counted:
    """A classifier that counts the images passed through it."""

    def __init__(self, classifier: Classifier):
        self.classifier = classifier
        self.images = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return self.classifier(x)


@dataclass(frozen=True)
class Evaluation:
    """Per image: clean correctness, and each attack's flags."""

    clean: str
    attacks: list[AttackRecord]
    flags: list[str]
    seconds: dict[str, float]


@dataclass
class Units:
    """Finished units in a file of JSON lines, so that a killed evaluation goes on where it was."""

    path: Path | None
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path and self.path.exists():
            whole = [line for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.done = {unit["name"]: unit for unit in map(json.loads, whole)}
            write_text(self.path, "".join(whole))

    def add(self, name: str, **content: Any) -> dict[str, Any]:
        """Keeps a unit, in the file too."""
        self.done[name] = {"name": name, **content}
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(self.done[name]) + "\n")
                file.flush()
        return self.done[name]


def evaluate(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    radii: Radii,
    *,
    device: str = "cpu",
    resume: Path | None = None,
    log: Log | None = None,
) -> Evaluation:
    """Attacks a classifier with a suite.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,).
        suite: attacks and their settings, batch size, seed.
        radii: of the norms' balls, on images in [0, 1].
        device: where batches are put.
        resume: a file for finished units; where it exists, they are not run again.
        log: where progress is shown.

    Raises:
        AttackFailed: where an attack or the classifier raises, with the attack's name and the images' indices.
    """
    run = _Run(Counted(classifier), images, labels, suite, radii, device, Units(resume), log or Log())
    return run.all()


class _Run:
    def __init__(
        self,
        classifier: Counted,
        images: Tensor,
        labels: Tensor,
        suite: Suite,
        radii: Radii,
        device: str,
        units: Units,
        log: Log,
    ):
        self.classifier, self.images, self.labels = classifier, images, labels
        self.suite, self.radii, self.device, self.units, self.log = suite, radii, device, units, log
        self.classes = 0

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and labels at the positions, on the device."""
        x = self.images[index].to(self.device)
        return (to_unit(x) if x.dtype == torch.uint8 else x.float()), self.labels[index].to(self.device)

    def all(self) -> Evaluation:
        started = time.monotonic()
        clean = self.clean()
        seconds = {"clean": round(time.monotonic() - started, 3)}
        records = []
        robust = {norm: clean.clone() for norm in ("linf", "l1", "l2")}
        names = _names(self.suite)
        for name, entry in zip(names, self.suite.attacks, strict=True):
            started = time.monotonic()
            record, robust[entry.norm] = self.attack(name, entry, robust[entry.norm])
            records.append(record)
            seconds[f"{name} {entry.norm}"] = round(time.monotonic() - started, 3)
            self.log.line(
                f"{self.log.name}  {name} {entry.norm} at {record.radius}: "
                f"{100 * robust[entry.norm].float().mean().item():.1f} % robust, {seconds[f'{name} {entry.norm}']:.1f} s"
            )
        return Evaluation(_flags(clean), records, [], seconds)

    @torch.no_grad()
    def clean(self) -> Tensor:
        """Per image: right without attack."""
        correct = []
        for index in torch.arange(len(self.labels)).split(self.suite.batch_size):
            x, y = self.batch(index)
            logits = self.guarded("clean", index, lambda x=x: self.classifier(x))
            self.classes = logits.shape[1]
            correct.append((logits.argmax(1) == y).cpu())
        return torch.cat(correct)

    def attack(self, name: str, entry: SuiteAttack, robust: Tensor) -> tuple[AttackRecord, Tensor]:
        """One attack on the images that are still right; its record, and who is right after it."""
        radius = getattr(self.radii, entry.norm)
        target = Target(entry.norm, number(radius), self.classes, self.suite.seed, self.device)
        survivors = robust.nonzero().flatten()
        flags = ["."] * len(robust)
        rejected = forwards = 0
        with self.log.bar(len(survivors), 0, " images") as bar:
            bar.set_description(f"{self.log.name} {name} {entry.norm}")
            for number_of_batch, index in enumerate(survivors.split(self.suite.batch_size)):
                unit = self.unit(f"{name} {entry.norm} {number_of_batch}", entry, target, index)
                for position, outcome in zip(index.tolist(), unit["outcome"], strict=True):
                    flags[position] = "0" if outcome == 1 else "1"
                rejected += unit["outcome"].count(-1)
                forwards += unit["forwards"]
                bar.update(len(index))
                bar.set_postfix(robust=f"{100 * (len(survivors) - flags.count('0')) / len(robust):.1f} %")
        after = torch.tensor([flag == "1" for flag in flags])
        found = AttackRecord(
            name=name,
            norm=entry.norm,
            radius=str(radius),
            correct="".join(flags),
            rejected=rejected,
            forwards=forwards,
        )
        return found, after

    def unit(self, name: str, entry: SuiteAttack, target: Target, index: Tensor) -> dict[str, Any]:
        """One batch under one attack, or what an earlier run found for it."""
        kept = self.units.done.get(name)
        if kept and kept["index"] == index.tolist():
            return kept
        x, y = self.batch(index)
        self.classifier.images = 0
        adapter = importlib.import_module(f"mngac.attacks.adapters.{entry.attack}")
        x_adv = self.guarded(name, index, lambda: adapter.attack(self.classifier, x, y, target, entry))
        forwards = self.classifier.images
        outcome = self.guarded(name, index, lambda: accept(self.classifier, x, y, x_adv, target))
        return self.units.add(name, index=index.tolist(), outcome=outcome.tolist(), forwards=forwards)

    def guarded(self, name: str, index: Tensor, act: Callable[[], Tensor]) -> Tensor:
        """Runs a step; what it raises becomes an error that names the attack and the images."""
        try:
            return act()
        except Exception as error:
            raise AttackFailed(
                f"{name} on images {_ranges(index.tolist())}: {type(error).__name__}: {error}"
            ) from error


def _names(suite: Suite) -> list[str]:
    """The attacks' names, numbered where one stands twice for a norm."""
    seen: dict[tuple[str, str], int] = {}
    names = []
    for entry in suite.attacks:
        count = seen[entry.attack, entry.norm] = seen.get((entry.attack, entry.norm), 0) + 1
        names.append(entry.attack if count == 1 else f"{entry.attack}_{count}")
    return names


def _flags(correct: Tensor) -> str:
    return "".join("1" if c else "0" for c in correct.tolist())


def _ranges(index: list[int]) -> str:
    return f"{index[0]} to {index[-1]} ({len(index)} of them)" if len(index) > 1 else str(index[0])


def commit() -> str:
    """The repository's commit, with `+` where the work tree differs; `unknown` outside a checkout."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def run(context: Context) -> None:
    """Writes one record."""
    params, w = context.job.params, context.job.wildcards
    torch.set_num_threads(params.run.threads)
    suite, radii = params.evaluation[w["suite"]], params.radii_for(w["profile"], w["dataset"])
    part = store.load(context.job.inputs["data"]).part(params.run.split)
    n = min(suite.n or len(part), len(part))
    classifier = load_classifier(context.job.inputs["classifier"], context.device)
    result = evaluate(
        classifier,
        part.images[:n],
        part.labels[:n],
        suite,
        radii,
        device=context.device,
        resume=context.work / "units.jsonl",
        log=context.log,
    )
    training = json.loads(Path(context.job.inputs["training"]).read_text())
    record = Record(
        schema=SCHEMA,
        dataset=w["dataset"],
        split=params.run.split,
        method=w["method"],
        seed=int(w["seed"]),
        suite=w["suite"],
        profile=w["profile"],
        n=n,
        indices=part.index[:n].tolist(),
        clean=result.clean,
        attacks=result.attacks,
        flags=result.flags,
        timing={"seconds": result.seconds, "training": training},
        provenance={
            "key": context.key,
            "code": key_of({root: d for root, d in context.parts["code"].items() if ".models." not in root}),
            "params": context.parts["params"],
            "commit": commit(),
            "versions": context.parts["versions"],
            "device": context.device,
        },
    )
    write_text(context.job.outputs["record"], record.to_json())
