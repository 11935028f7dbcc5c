"""The sides of a training benchmark: the project's own trainer, and the plain reference from the same start."""

from __future__ import annotations

import copy
import statistics
from typing import Protocol

import torch

from benchmarks.memory import allocator
from benchmarks.plain import Plain
from benchmarks.settings import Settings
from mngac.methods.base import Step
from mngac.methods.generator_diagnostics import EVERY
from mngac.params.registry import find
from mngac.training.trainer import Trainer
from mngac.tuning.timing import Clock

RATE = 0.01
LOOKS = 3


class Side(Protocol):
    """Something that takes steps of a training."""

    def prepare(self) -> None:
        """Sets the allocator and cuDNN as this side has them."""

    def step(self, number: int) -> None:
        """One step."""


class Ours:
    """The project's trainer; its look at a generator, every eighth step of a norm, is left out and timed apart."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.trainer.classifier.train()
        self._watch = trainer.method.watch
        trainer.method.watch = lambda classifier: None  # type: ignore[method-assign]

    def prepare(self) -> None:
        """Freed memory kept; cuDNN's convolutions chosen by trying, as the trainer has it."""
        allocator(kept=True)
        torch.backends.cudnn.benchmark = True

    def step(self, number: int) -> None:
        """The trainer's own step."""
        self.trainer._step(number, RATE)

    def look(self) -> None:
        """The look that is due after the first step of a norm; nothing for a method without a generator."""
        if hasattr(self.trainer.method, "diagnosed"):
            self.trainer.method.diagnosed.steps.clear()
            with self.trainer.execution.autocast():
                self._watch(self.trainer.classifier)

    def watch_seconds(self, clock: Clock, number: int) -> float:
        """Seconds a step of looking, on average over the steps."""
        looks = []
        for k in range(LOOKS):
            self.step(number + k)
            looks.append(clock.took(self.look))
        return statistics.median(looks) / EVERY if hasattr(self.trainer.method, "diagnosed") else 0.0

    def forward_equivalents(self, forward: int) -> float:
        """The mean step's operations, as counted by the trainer, in forward passes of so many operations."""
        total = self.trainer.meter.total()
        return (total or 0) / sum(self.trainer.meter.steps.values()) / forward


class Reference:
    """The plain reference on a trainer's batches, from the weights that the trainer has now."""

    def __init__(self, trainer: Trainer, settings: Settings, kept: bool = False):
        self.trainer, self.kept = trainer, kept
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

    def prepare(self) -> None:
        """malloc as it comes, unless the comparison is of all else; cuDNN as it comes."""
        allocator(kept=self.kept)
        torch.backends.cudnn.benchmark = False

    def step(self, number: int) -> None:
        """The same step, on contiguous images."""
        batch = self.trainer.batch(number)
        step = Step(number, RATE, self.trainer.seed, self.trainer.device)
        self.plain.step(batch.x.contiguous(), batch.y, step)


def side(name: str, settings: Settings, method: str, norms: list[str] | None) -> Ours | Reference:
    """`ours` or `plain`, newly built."""
    trainer = settings.trainer(method, norms)
    return Ours(trainer) if name == "ours" else Reference(trainer, settings)
