"""The sides of a training benchmark: the project's own trainer, and the plain reference from the same start."""

from __future__ import annotations

import copy
import statistics
from typing import Any, Protocol

import torch

from benchmarks.memory import allocator
from benchmarks.plain import Plain
from benchmarks.settings import Settings
from benchmarks.turns import Clock
from mngac.methods.base import Step
from mngac.methods.generator_diagnostics import EVERY
from mngac.params.registry import find
from mngac.training.trainer import Trainer

RATE = 0.01


class Side(Protocol):
    """Something that takes steps of a training."""

    def step(self, number: int) -> None:
        """One step."""

    def seconds(self, number: int) -> float:
        """Seconds of one step, the allocator and cuDNN set as this side has them."""


class Ours:
    """The project's trainer; what it spends on looking at a generator, every eighth step, is timed apart."""

    def __init__(self, trainer: Trainer, clock: Clock):
        self.trainer, self.clock = trainer, clock
        self.trainer.classifier.train()
        self.watched: list[float] = []
        """Seconds of each step's look."""
        self._watch, trainer.method.watch = trainer.method.watch, self._timed_watch  # type: ignore[method-assign]

    def _timed_watch(self, classifier: torch.nn.Module) -> None:
        self.watched.append(self.clock.took(lambda: self._watch(classifier)))

    def step(self, number: int) -> None:
        """The trainer's own step."""
        self.trainer._step(number, RATE)

    def seconds(self, number: int) -> float:
        """Seconds of a step without its look."""
        allocator(kept=True)
        torch.backends.cudnn.benchmark = True
        return self.clock.took(lambda: self.step(number)) - self.watched[-1]

    @property
    def watch_seconds(self) -> float:
        """Seconds a step of looking, on average over the steps: 0 where there is nothing to look at."""
        looks = [seconds for seconds in self.watched if seconds > max(self.watched) / 10]
        return statistics.median(looks) / EVERY if self.watched and hasattr(self.trainer.method, "generator") else 0.0

    def forward_equivalents(self, forward: int) -> float:
        """The mean step's operations, as counted by the trainer, in forward passes of so many operations."""
        total = self.trainer.meter.total()
        return (total or 0) / sum(self.trainer.meter.steps.values()) / forward


class Reference:
    """The plain reference on a trainer's batches, from the weights that the trainer has now."""

    def __init__(self, trainer: Trainer, settings: Settings, clock: Clock, kept: bool = False):
        self.trainer, self.clock, self.kept = trainer, clock, kept
        plan = trainer.plan
        name = trainer.architecture.model
        with torch.random.fork_rng(devices=[]):
            # As its file builds it: contiguous weights, without the trainer's hooks.
            net = find("models", name).load()(name, settings.classes, settings.channels, settings.image_size)
        net.load_state_dict(trainer.classifier.state_dict())
        noise = copy.deepcopy(getattr(trainer.method, "generator", None))
        for module in noise.modules() if noise else ():
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
        self.plain = Plain(
            net.to(trainer.device).train(),
            plan.method.model_dump(),
            trainer.attacks,
            noise,
            plan.training.momentum,
            plan.training.weight_decay,
        )

    def step(self, number: int) -> None:
        """The same step, on contiguous images."""
        batch = self.trainer.batch(number)
        step = Step(number, RATE, self.trainer.seed, self.trainer.device)
        self.plain.step(batch.x.contiguous(), batch.y, step)

    def seconds(self, number: int) -> float:
        """Seconds of a step."""
        allocator(kept=self.kept)
        torch.backends.cudnn.benchmark = False
        return self.clock.took(lambda: self.step(number))


def side(name: str, settings: Settings, method: str, norms: list[str] | None) -> Any:
    """`ours` or `plain`, newly built."""
    trainer, clock = settings.trainer(method, norms), Clock(settings.device, settings.threads)
    return Ours(trainer, clock) if name == "ours" else Reference(trainer, settings, clock)
