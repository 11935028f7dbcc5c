"""The task of an evaluation: one attack on one batch. Units are kept as they finish, and shared among processes."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from mngac.data.batches import to_unit
from mngac.evaluation.acceptance import Pool, Target, accept, reproducible
from mngac.evaluation.isolated import isolated
from mngac.params.errors import UserError
from mngac.params.registry import find
from mngac.params.sections import AttackConfig
from mngac.pipeline.cache import write_text

Classifier = Callable[[Tensor], Tensor]


class AttackFailed(RuntimeError):  # noqa: N818
    """An attack or the classifier raised: its images are neither robust nor broken, so the evaluation stops."""


@dataclass(frozen=True)
class Task:
    """One attack on one batch: a name that no other task has, the attack's entry and radius, the images' positions."""

    name: str
    entry: AttackConfig
    radius: float
    index: list[int]


class Counted:
    """A classifier that counts the images passed through it."""

    def __init__(self, classifier: Classifier):
        self.classifier = classifier
        self.images = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return self.classifier(x)


@dataclass
class Runner:
    """A classifier and the images that it is tried on: all that a worker process needs."""

    classifier: Classifier
    images: Tensor
    labels: Tensor
    seed: int
    device: str
    classes: int = 0
    predictions: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def batch(self, index: list[int]) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and labels at the positions, on the device."""
        x = self.images[index].to(self.device)
        return (to_unit(x) if x.dtype == torch.uint8 else x.float()), self.labels[index].to(self.device)

    def attack(self, task: Task) -> dict[str, Any]:
        """Runs a task: each image's outcome (see `accept`), the images passed forward, and the seconds it took.

        Raises:
            AttackFailed: with the attack's name and the images, whatever the attack or the classifier raised.
        """
        started = time.monotonic()
        x, y = self.batch(task.index)
        pool = Pool(self.images, self.predictions)
        target = Target(task.entry.norm, task.radius, self.classes, self.seed, self.device, pool)
        counted = Counted(self.classifier)
        attack = find("evaluation/attacks", task.entry.attack).load()
        with guarded(task.name, task.index), isolated(self.seed), reproducible(torch.backends.cudnn.allow_tf32):
            x_adv = attack(counted, x, y, target, task.entry)
            outcome = accept(self.classifier, x, y, x_adv, target)
        return {
            "name": task.name,
            "index": task.index,
            "outcome": outcome.tolist(),
            "forwards": counted.images,
            "seconds": round(time.monotonic() - started, 3),
        }


class guarded:  # noqa: N801 (reads as a statement: with guarded(...))
    """Turns a bug in the block into an error that names the step and the images; what the user can mend passes."""

    def __init__(self, name: str, index: list[int]):
        self.name, self.index = name, index

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            text = " ".join(str(error).split())
            raise AttackFailed(f"{self.name} on images {ranges(self.index)}: {type(error).__name__}: {text}") from error


def ranges(index: list[int]) -> str:
    """Positions as ranges: `0-3, 7`."""
    parts: list[list[int]] = []
    for i in sorted(index):
        if parts and i == parts[-1][1] + 1:
            parts[-1][1] = i
        else:
            parts.append([i, i])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


@dataclass
class Finished:
    """Finished tasks in a file of JSON lines, so that a killed evaluation goes on where it was."""

    path: Path | None
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path and self.path.exists():
            whole = [line for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.tasks = {task["name"]: task for task in map(json.loads, whole)}
            write_text(self.path, "".join(whole))

    def find(self, task: Task) -> dict[str, Any] | None:
        """What an earlier run found for the task, if it was of the same images."""
        kept = self.tasks.get(task.name)
        return kept if kept and kept["index"] == task.index else None

    def add(self, finished: dict[str, Any]) -> None:
        """Keeps a task, in the file too, before the next one starts."""
        self.tasks[finished["name"]] = finished
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(finished) + "\n")


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
        if self.executor:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """Each task's finding, in the order in which they finish."""
        todo = []
        for task in tasks:
            kept = self.finished.find(task)
            if kept:
                yield kept
            else:
                todo.append(task)
        for found in map(self.runner.attack, todo) if self.processes == 1 else self._shared(todo):
            self.finished.add(found)
            yield found

    def _shared(self, tasks: list[Task]) -> Iterator[dict[str, Any]]:
        if tasks and self.executor is None:
            threads = torch.get_num_threads()
            self.executor = ProcessPoolExecutor(
                self.processes, get_context("spawn"), initializer=_start, initargs=(self.runner, threads)
            )
        futures: list[Future[dict[str, Any]]] = [self.executor.submit(_attack, u) for u in tasks if self.executor]
        for future in as_completed(futures):
            yield future.result()


_runner: Runner | None = None


def _start(runner: Runner, threads: int) -> None:
    """Sets a worker process up; it ends with its parent, even with one that is killed."""
    global _runner
    _runner = runner
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _attack(task: Task) -> dict[str, Any]:
    if _runner is None:
        raise RuntimeError("the worker process was not set up")
    return _runner.attack(task)
