"""The task of an evaluation: one attack on one batch. Findings are saved as they come, and shared among processes."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.data.pixels import as_unit
from mngac.evaluation.acceptance import Pool, Target, run_attack
from mngac.evaluation.asked import IMAGES, asked
from mngac.evaluation.consistency import Unanimous
from mngac.evaluation.outcome import Outcome
from mngac.params.errors import UserError
from mngac.params.registry import find
from mngac.params.sections import AttackConfig
from mngac.pipeline.atomic import write_text
from mngac.pipeline.memory import keep_freed_memory
from mngac.pipeline.progress import Log


class AttackFailed(RuntimeError):  # noqa: N818
    """An attack or the classifier raised: its images are neither robust nor broken, so the evaluation stops."""


@dataclass(frozen=True)
class Task:
    """One attack on one batch: a name that no other task has, the attack, the images' positions in the evaluation."""

    name: str
    config: AttackConfig
    radius: float
    positions: list[int]
    block: tuple[int, int]
    """Positions, from the first to the one after the last, of the block that the images lie in."""
    predictions: Tensor
    """Of the block's images, int64 (images,): the classes predicted without attack."""
    classes: int


@dataclass(frozen=True)
class Finding:
    """What a task found: an outcome an image, in the order of the positions."""

    name: str
    positions: list[int]
    outcomes: list[Outcome]
    forwards: int
    """Images passed through the classifier."""
    seconds: float

    @classmethod
    def of_dict(cls, content: dict[str, Any]) -> Finding:
        """The finding that `dataclasses.asdict` took apart."""
        return cls(**{**content, "outcomes": [Outcome(outcome) for outcome in content["outcomes"]]})


@dataclass
class Runner:
    """A classifier and the images that it is tried on: all that a worker process needs."""

    classifier: Classifier
    images: Tensor
    labels: Tensor
    seed: int
    device: str
    compiled: bool = False
    """Whether attacks ask a compiled copy of the classifier."""
    log: Log | None = None
    """Where this process says what prevents that; on the terminal by default."""
    consistent: bool = True
    """Whether the classifier says the same of an image however it is asked."""

    @property
    def judge(self) -> Classifier:
        """Who says which class an image gets: the classifier, where it is consistent; else all its answers together."""
        return self.classifier if self.consistent else Unanimous(self.classifier)

    @functools.cached_property
    def asked(self) -> Classifier:
        """Whom attacks ask in the classifier's place; made by each process for itself, of the same images."""
        x, _ = self.batch(list(range(min(IMAGES, len(self.labels)))))
        return asked(self.classifier, x, self.compiled, self._tell)

    def _tell(self, found: str) -> None:
        log = self.log or Log()
        log.line(f"{log.name}: attacks run without torch.compile, which found: {found}")

    def batch(self, positions: list[int]) -> tuple[Tensor, Tensor]:
        """Images (batch, channels, height, width) in [0, 1] and labels (batch,) at the positions, on the device."""
        x = self.images[positions].to(self.device)
        return as_unit(x), self.labels[positions].to(self.device)

    def run(self, task: Task) -> Finding:
        """Runs a task: each image's outcome, the images passed forward, and the seconds it took.

        Raises:
            AttackFailed: with the attack's name and the images, whatever the attack or the classifier raised.
        """
        started = time.monotonic()
        x, y = self.batch(task.positions)
        within = slice(*task.block)
        pool = Pool(self.images[within], task.predictions)
        target = Target(task.config.norm, task.radius, task.classes, self.seed, self.device, pool)
        attack = find("evaluation/attacks", task.config.attack).load()
        with guarded(task.name, task.positions):
            outcomes, forwards = run_attack(attack, self.judge, self.asked, x, y, target, task.config)
        return Finding(task.name, task.positions, outcomes, forwards, round(time.monotonic() - started, 3))


class guarded:  # noqa: N801 (reads as a statement: with guarded(...))
    """Turns a bug in the block into an error that names the step and the images; what the user can mend passes."""

    def __init__(self, name: str, positions: list[int]):
        self.name, self.positions = name, positions

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            text = " ".join(str(error).split())
            raise AttackFailed(
                f"{self.name} on images {ranges(self.positions)}: {type(error).__name__}: {text}"
            ) from error


def ranges(positions: list[int]) -> str:
    """Positions as ranges: `0-3, 7`."""
    spans: list[list[int]] = []
    for i in sorted(positions):
        if spans and i == spans[-1][1] + 1:
            spans[-1][1] = i
        else:
            spans.append([i, i])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


@dataclass
class Finished:
    """Finished tasks in a file, so that a killed evaluation resumes where it was: a digest and JSON, a line a task."""

    path: Path | None
    known: Iterable[Finding] = ()
    """What others have found; the file is this run's own."""
    log: Log = field(default_factory=Log)
    """Is told how many lines were damaged: their tasks run again. One that a killed process left half goes without."""
    findings: dict[str, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.findings = {finding.name: finding for finding in self.known}
        if self.path and self.path.exists():
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            intact = [line for line in lines if line == _sealed(line[DIGITS + 1 :])]
            damaged = sum(line.endswith("\n") for line in lines) - len(intact)
            if damaged:
                self.log.line(f"{self.log.name}: {self.path}: {damaged} lines are damaged and left out")
            self.findings |= {f.name: f for f in (Finding.of_dict(json.loads(line[DIGITS + 1 :])) for line in intact)}
            write_text(self.path, "".join(intact))
        elif self.path:
            write_text(self.path, "")

    def find(self, task: Task) -> Finding | None:
        """What an earlier run found for the task, if it was of the same images."""
        finding = self.findings.get(task.name)
        return finding if finding and finding.positions == task.positions else None

    def add(self, finding: Finding) -> None:
        """Saves a finding, in the file too, before the next task starts."""
        self.findings[finding.name] = finding
        if self.path and not self.path.exists():  # somebody cleared the folder away: what is known is written anew
            write_text(self.path, "".join(_sealed(_line(known)) for known in self.findings.values()))
        elif self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(_sealed(_line(finding)))
                file.flush()
                os.fsync(file.fileno())


DIGITS = 16
"""Of a line's digest."""


def _line(finding: Finding) -> str:
    return json.dumps(asdict(finding)) + "\n"


def _sealed(text: str) -> str:
    """A line of text behind its digest."""
    return f"{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]} {text}"


def as_many_as_fit(processes: int) -> int:
    """So many worker processes, or as many as there are cores for their threads; at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processes, cores // torch.get_num_threads()))


class Workers:
    """Runs tasks here, or in several processes; finished ones are not run again.

    A task is a whole batch whatever the number of processes, so that their number changes no result.
    """

    def __init__(self, runner: Runner, finished: Finished, processes: int):
        self.runner, self.finished, self.processes = runner, finished, processes
        self.executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.executor and isinstance(error, KeyboardInterrupt):
            for process in active_children():
                process.terminate()  # its batch is not finished: nobody waits for it
        if self.executor:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Iterable[Task]) -> Iterator[Finding]:
        """Each task's finding, in the order in which they finish."""
        todo = []
        for task in tasks:
            finding = self.finished.find(task)
            if finding:
                yield finding
            else:
                todo.append(task)
        for finding in map(self.runner.run, todo) if self.processes == 1 else self._shared(todo):
            self.finished.add(finding)
            yield finding

    def _shared(self, tasks: list[Task]) -> Iterator[Finding]:
        if tasks and self.executor is None:
            threads = torch.get_num_threads()
            runner = replace(self.runner, log=None)
            self.executor = ProcessPoolExecutor(
                self.processes, get_context("spawn"), initializer=_start, initargs=(runner, threads)
            )
        futures: list[Future[Finding]] = [self.executor.submit(_run, task) for task in tasks if self.executor]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            what = (
                "a worker process was killed, perhaps for its memory; lower evaluation.<suite>.processes or batch_size"
            )
            raise UserError(f"{what}; finished batches are saved") from error


_runner: Runner | None = None


def _start(runner: Runner, threads: int) -> None:
    """Sets a worker process up; it ends with its parent, even with one that is killed."""
    global _runner
    _runner = runner
    torch.set_num_threads(threads)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _run(task: Task) -> Finding:
    if _runner is None:
        raise RuntimeError("the worker process was not set up")
    return _runner.run(task)
