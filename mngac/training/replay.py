"""A training gone through again from its last checkpoint to the step that went wrong, and what is seen in it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mngac.models.compiled import plain
from mngac.params.errors import ParamsError
from mngac.pipeline.jobs import Job
from mngac.pipeline.progress import Log
from mngac.training.bad_steps import finite
from mngac.training.passes import watched
from mngac.training.stage import trainer_of
from mngac.training.trainer import Trainer


def replay(job: Job, work: Path, wanted: int | None) -> Iterator[str]:
    """The lines on a job's step, as `Replay.told`.

    Args:
        job: of a stage that trains.
        work: folder of its checkpoints.
        wanted: the step, counted from 0; None for the first that goes wrong.
    """
    device = job.machine["device"]
    return trainer_of(job, device, work, Log(name=f"{job.stage.name} {job.name}"), Replay).told(wanted)


class Replay(Trainer):
    """A training that steps on as it would have, without its monitor, and writes nothing."""

    def told(self, wanted: int | None) -> Iterator[str]:
        """What is seen in a step, line by line.

        Args:
            wanted: the step, counted from 0; None for the first after which something is not finite.

        Raises:
            ParamsError: for a method that trains nothing, or a step that the training does not have.
        """
        if not self.method.trains:
            raise ParamsError("--method: found one that trains nothing; allowed: one that does")
        steps = self.training.epochs * self.steps_per_epoch
        if wanted is not None and not 0 <= wanted < steps:
            raise ParamsError(f"--step: found {wanted}; allowed: 0 to {steps - 1}, the training's steps")
        self._begin(wanted)
        first = self._done
        number = self._go(wanted, steps)
        if number is None:
            yield f"steps {first} to {steps - 1}: losses and weights are finite"
        else:
            yield from (f"{name}: {value}" for name, value in self._look(number).items())

    def _begin(self, wanted: int | None) -> None:
        """The last checkpoint, unless it is of a step after the one wanted."""
        fresh = copy.deepcopy(self._state())
        self._resume()
        if wanted is not None and wanted < self._done:
            self._load(fresh)
            self.log.line(f"{self.log.name}: step {wanted} lies before that; starts again")

    def _go(self, wanted: int | None, steps: int) -> int | None:
        """Takes steps until the wanted one is next, or once more the first that goes wrong; None where none does."""
        with self.log.bar(steps, self._done, " steps") as bar:
            while self._done < steps:
                self._turn()
                number = self._done
                if number == wanted:
                    return number
                before = None if wanted is not None else copy.deepcopy(self._state())
                loss = self._step(number, self._rate(number))
                if before and not bool(finite([loss, *self._tensors()])):
                    self._load(before)
                    return number
                self.progress.step += 1
                bar.update()
        return None

    def _turn(self) -> None:
        """Ends an epoch whose steps are done, as far as later steps depend on it."""
        if self.progress.step == self.steps_per_epoch:
            with plain(self.classifier):
                self.method.after_epoch(self.classifier, self.progress.epoch)
            self.classifier.train()
            self.progress.epoch, self.progress.step = self.progress.epoch + 1, 0

    def _look(self, number: int) -> dict[str, str]:
        """Takes a step and says what is seen in it."""
        norm, before = _norm(self.classifier.parameters()), _bad("before the step,", self._weights())
        with watched(self._networks()) as seen, plain(self.classifier):
            loss = self._step(number, self._rate(number))
        gradients = {name: weight.grad for name, weight in self._weights().items() if weight.grad is not None}
        after = _bad("the step's", {"loss": loss}) or _bad("gradient of", gradients)
        first = before or seen.first or after or _bad("after the step,", self._weights())
        return {
            **self.about(number),
            "loss": f"{loss.item():.6g}",
            "largest |logit|": f"{seen.largest:.6g}, in {seen.passes} passes of the classifier",
            "gradient norm": f"{_norm(w.grad for w in self.classifier.parameters() if w.grad is not None):.6g}",
            "weight norm": f"{norm:.6g}, before the step",
            "first not finite": first or "nothing",
        }

    def _networks(self) -> dict[str, nn.Module]:
        """The classifier and the method's own networks, by name."""
        return {f"network{k}" if k else "classifier": network for k, network in enumerate(self.meter.networks)}

    def _weights(self) -> dict[str, Tensor]:
        """Weights and running statistics of all networks, by name."""
        return {
            f"{name}.{inner}": tensor
            for name, network in self._networks().items()
            for inner, tensor in (*network.named_parameters(), *network.named_buffers())
        }


def _bad(what: str, tensors: Mapping[str, Tensor]) -> str | None:
    """The first of some tensors that is not finite, in words; None where all are."""
    return next((f"{what} {name}" for name, tensor in tensors.items() if not bool(finite([tensor]))), None)


def _norm(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all numbers of some tensors."""
    return torch.stack([tensor.detach().float().norm() for tensor in tensors]).norm().item()
