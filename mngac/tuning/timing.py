"""What steps of real trainings take: variants side by side, in turns, so that a busy machine slows all alike."""

from __future__ import annotations

import functools
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mngac.data import store
from mngac.data.store import DataSet
from mngac.models.compiled import hindrance
from mngac.pipeline.device import repeatable
from mngac.pipeline.memory import keep_freed_memory
from mngac.pipeline.progress import Log
from mngac.training.plan import Plan, learning_rate
from mngac.training.trainer import Trainer
from mngac.tuning.choice import Compared

WARM, TURNS = 3, 5
"""Steps of each variant and norm that are taken before any is timed, among them those that are counted; and timed."""


@dataclass(frozen=True)
class Clock:
    """Seconds of the processor where one thread computes, those of finished compilers included; else by the wall."""

    device: str
    threads: int

    def now(self) -> float:
        """Seconds, all work of the device done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        if self.device == "cuda" or self.threads > 1:
            return time.perf_counter()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def took(self, work: Callable[[], Any]) -> float:
        """Seconds of one call."""
        started = self.now()
        work()
        return self.now() - started


class Heard(Log):
    """Keeps what a training says, for whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def line(self, text: str) -> None:
        """Kept, and shown nowhere."""
        self.said.append(text.removeprefix(": "))


def trainer_of(data: DataSet, plan: Plan, log: Log | None = None, **changes: Any) -> Trainer:
    """The training of a plan with changes in its section `training`; it is never run, so that it leaves no file."""
    training = plan.training.model_copy(update=changes)
    trainer = Trainer(data, replace(plan, training=training), Path(os.devnull), log=log or Heard())
    trainer.classifier.train()
    return trainer


def step(trainer: Trainer, number: int) -> None:
    """The training's own step of this number, at its own learning rate."""
    training = trainer.training
    trainer._step(number, learning_rate(training.schedule, number / trainer.steps_per_epoch, training.epochs))


def kinds(trainer: Trainer) -> Iterator[None]:
    """The trainer's kinds of steps, one after the other: one a norm where its method draws norms, else one."""
    method, entry = trainer.method, trainer.plan.method
    norms = (entry.norms or []) if method.draws_a_norm else []
    for norm in norms:
        method.config = entry.model_copy(update={"norms": [norm]})
        yield
    method.config = entry
    if not norms:
        yield


def warm(trainer: Trainer) -> None:
    """The first steps of each kind."""
    for _ in kinds(trainer):
        for number in range(WARM):
            step(trainer, number)


def seconds_a_step(sides: Mapping[str, Trainer], clock: Clock) -> dict[str, float]:
    """Seconds of a step of each side, warmed up: the median over turns, and over norms that are drawn their mean."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in zip(*(kinds(trainer) for trainer in sides.values()), strict=True):
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(WARM, WARM + TURNS):
            for name, trainer in sides.items():
                taken[name].append(clock.took(functools.partial(step, trainer, number)))
        for name, seconds in taken.items():
            found[name].append(statistics.median(seconds))
    return {name: statistics.mean(medians) for name, medians in found.items()}


def compare(file: str, plan: Plan, clock: Clock, deterministic: bool) -> Compared | str:
    """Steps eager and compiled, or in a line what prevents compilation.

    For a process of its own, which has compiled nothing yet, as a training's has not: its compiler's cache is empty.

    Args:
        file: the data set's tensor file.
        plan: what is trained.
        clock: with the threads of the run.
        deterministic: as `run.deterministic`, on CUDA.
    """
    data = store.load(file)
    keep_freed_memory()
    torch.set_num_threads(clock.threads)
    with tempfile.TemporaryDirectory() as folder, repeatable(deterministic):
        os.environ.update(TORCHINDUCTOR_CACHE_DIR=folder, TRITON_CACHE_DIR=f"{folder}/triton")
        sides = {name: trainer_of(data, plan, compile=name == "compiled") for name in ("eager", "compiled")}
        warming = {name: clock.took(functools.partial(warm, trainer)) for name, trainer in sides.items()}
        found = hindrance(sides["compiled"].classifier)
        if found:
            return found
        return Compared(**seconds_a_step(sides, clock), compiling=max(0.0, warming["compiled"] - warming["eager"]))
