"""One training: optimizer, schedule, checkpoint, log. Knows that there is a method, not which."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mngac import tensors
from mngac.data import store
from mngac.data.batches import Batches
from mngac.data.pixels import to_unit
from mngac.methods.base import Base, Batch, Setup, Step
from mngac.models.compiled import plain
from mngac.models.files import Architecture, save_classifier
from mngac.models.frozen import frozen_statistics
from mngac.models.layout import lay_out
from mngac.params.errors import UserError
from mngac.params.registry import find
from mngac.pipeline.atomic import write_text
from mngac.pipeline.progress import Log
from mngac.pipeline.stopping import Stopped, gently, wanted
from mngac.streams import stream, stream_seed
from mngac.training.average import Average
from mngac.training.bad_steps import BadStepError, FirstBad
from mngac.training.checkpoints import Checkpoints
from mngac.training.collapse import collapses
from mngac.training.cost import Meter, Stopwatch, flops_of_a_forward
from mngac.training.execution import Execution
from mngac.training.monitor import look
from mngac.training.plan import Plan, learning_rate, steps_of_an_epoch, training_attacks

if TYPE_CHECKING:
    from mngac.params.sections import Suite
    from mngac.training.selection import Best
    from mngac.training.start import Start
    from mngac.training.validation import Validation


@dataclass
class Progress:
    """How far a training is, over all its resumptions."""

    epoch: int = 0
    """Epochs done."""
    step: int = 0
    """Steps done of the next one."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """Of the log, one an epoch done."""
    seconds: float = 0.0
    """By the clock."""
    process_seconds: float = 0.0
    """Of the processor."""
    epoch_began: float = 0.0
    """`seconds` when the epoch in progress began."""


class Trainer:
    """One training, without a job: `run` trains what is left, `write` leaves the files.

    Args:
        data: the data set; its split `unlabelled` is used where `pseudo_labels` are given.
        plan: what is trained.
        folder: where a checkpoint is kept and looked for.
        pseudo_labels: labels int64 (n,) of the unlabelled images, which are then mixed into every batch.
        additional: images with labels that have a share of every batch, `training.additional_share`.
        start: another training's classifier, that this one goes on from; None: from random weights.
        log: where progress is shown.
    """

    def __init__(
        self,
        data: store.DataSet,
        plan: Plan,
        folder: Path,
        pseudo_labels: Tensor | None = None,
        additional: store.Split | None = None,
        start: Start | None = None,
        log: Log | None = None,
    ):
        self.plan, self.start, self.log = plan, start, log or Log()
        self.training, self.seed, self.device = plan.training, plan.seed, plan.device
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
        further = {"unlabelled": pseudo_labels, "additional": None if additional is None else additional.labels}
        labels = {name: each for name, each in further.items() if each is not None}
        channels, size, _ = data.shape
        self.architecture = Architecture(plan.method.model or self.training.model, len(data.classes), channels, size)
        network = asdict(self.architecture)
        self.identity = plan.identity(data.digest, network, labels, start.digest if start else None)
        self.attacks = training_attacks(self.training, plan.radii)
        self.execution = Execution(self.training, self.device, self.log)
        validation, count = data.split("validation"), self.training.monitor.images
        x = to_unit(validation.images[:count].to(self.device))
        self.watched = Batch(self.execution.laid_out(x), validation.labels[:count].to(self.device))
        self.batches = self._batches(data, pseudo_labels, additional)
        torch.manual_seed(stream_seed(self.seed, "weights"))
        self.classifier = self.architecture.build().to(self.device)
        if start is not None:
            start.put(self.classifier, self.architecture)
        lay_out(self.classifier, self.training.layout)
        setup = self._setup(channels, validation)
        self.method: Base = find("methods", plan.method.kind).load()(plan.method, setup)
        self.optimizer = setup.optimizer(self.classifier.parameters())
        self.method.initialise(self.classifier)
        self.average = Average(self.classifier, self.training.average.decay) if self.training.average else None
        self.selection = self._selection(validation)
        if self.training.compile:
            self.execution.compile(self.classifier)
        self.meter = Meter([self.classifier, *self.method.networks()])
        self.progress = Progress()
        self.total = torch.zeros((), device=self.device)
        """Of the losses of the epoch in progress."""
        self.first_bad = FirstBad(self.device)
        self.checkpoints = Checkpoints(folder, self.log)

    def _batches(
        self, data: store.DataSet, pseudo_labels: Tensor | None, additional: store.Split | None
    ) -> list[Batches]:
        """The sources that a batch is put together from: labelled images, and those beside them where given."""
        t, semi = self.training, pseudo_labels is not None
        self.steps_per_epoch = steps_of_an_epoch(t, len(data.split("train")), semi=semi)
        splits: dict[str, store.Split] = {}
        if pseudo_labels is not None:
            splits["unlabelled"] = replace(data.split("unlabelled"), labels=pseudo_labels)
        if additional is not None:
            splits["additional"] = additional
        beside = {name: count for name, count in t.parts(semi=semi).items() if name in splits and count}
        augment: dict[str, Any] = dict(seed=self.seed, device=self.device, augment=tuple(t.augment), pad=t.pad)
        sources = [Batches(data.split("train"), t.batch_size - sum(beside.values()), name="train", **augment)]
        for name, count in beside.items():
            sources.append(Batches(splits[name], count, name=name, mapped=name == "additional", **augment))
        return sources

    def _selection(self, validation: store.Split) -> Best | None:
        """What compares epochs; None where the last one is kept."""
        if self.plan.selection is None or not self.method.trains:
            return None
        best: type[Best] = importlib.import_module("mngac.training.selection").Best
        return best(self._validation(validation, self.plan.selection))

    def _validation(self, images: store.Split, suite: Suite) -> Validation:
        """What compares classifiers under a suite."""
        # By its name, as a registry's files are: what evaluates is in the keys of those trainings alone that do.
        kind: type[Validation] = importlib.import_module("mngac.training.validation").Validation
        return kind(images, suite, self.plan.radii, self.device)

    @property
    def kept(self) -> nn.Module:
        """The classifier that is monitored and kept: the average where there is one."""
        return self.classifier if self.average is None else self.average.classifier

    def _setup(self, channels: int, validation: store.Split) -> Setup:
        def union_of(classifier: nn.Module, suite: str) -> float:
            given = self.plan.comparison
            if given is None or suite != self.plan.method.suite:
                raise ValueError(f"{suite}: found no such suite; allowed: the one that the method's entry states")
            return self._validation(validation, given).union_of(classifier)

        return Setup(
            attacks=self.attacks,
            channels=channels,
            device=self.device,
            seed=self.seed,
            momentum=self.training.momentum,
            weight_decay=self.training.weight_decay,
            vectors_decay=self.training.weight_decay_on == "all",
            epochs=self.training.epochs,
            union_of=union_of,
        )

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        images, labels = zip(*[source(step) for source in self.batches], strict=True)
        joined = torch.cat(images) if len(images) > 1 else images[0]
        return Batch(self.execution.laid_out(joined), torch.cat(labels))

    def run(self) -> None:
        """All steps and epochs that are left.

        Raises:
            Stopped: at the step, and with a checkpoint, at which somebody wants it to stop.
            BadStepError: where a loss or weights are not finite; the last checkpoint, if any, is of a step before.
        """
        self._resume()
        self.clock = Clock(self.progress, self.device)
        images = self.training.batch_size * self.training.epochs * self.steps_per_epoch
        with gently(), self.log.bar(images, self._images_seen(), " images", scale=True) as bar:
            while self.method.trains and self.progress.epoch < self.training.epochs:
                self._steps(bar)
                self._check()
                line = self._line()
                self.clock.tick()
                line["timing"]["seconds"] = round(self.progress.seconds, 3)
                self.progress.epoch, self.progress.step = self.progress.epoch + 1, 0
                self.progress.epoch_began = self.progress.seconds
                self.progress.lines.append(line)
                self.total = torch.zeros_like(self.total)
                self._say(line)
                self._warn()

    def _steps(self, bar: tqdm) -> None:
        """The steps that are left of an epoch."""
        epoch, progress = self.progress.epoch, self.progress
        self.classifier.train()
        bar.set_description(f"{self.log.name} epoch {epoch + 1}/{self.training.epochs}")
        while progress.step < self.steps_per_epoch:
            number = epoch * self.steps_per_epoch + progress.step
            self.total += self._step(number, self._rate(number))
            progress.step += 1
            bar.update(self.training.batch_size)
            if not bar.disable and progress.step % 20 == 0:
                bar.set_postfix(loss=f"{self.total.item() / progress.step:.3f}")
            self._save()

    def _save(self) -> None:
        """Writes a checkpoint where one is due, or somebody wants the training to stop; and then stops it.

        None is written of what is not finite, so that the last one is of a step before it.
        """
        by = wanted()
        if by is None and not self.checkpoints.due():
            return
        self.clock.tick()
        self._check()
        saved = self.checkpoints.write(self._state())
        if by is not None:
            done, steps = self.progress.epoch, f"step {self.progress.step} of {self.steps_per_epoch}"
            where = f"epoch {done} of {self.training.epochs}, and {steps} of the next, is saved"
            raise Stopped(where if saved else "", by)

    def _check(self) -> None:
        """Looks whether losses and weights are finite.

        Raises:
            BadStepError: where they are not; with the first step whose loss is not, else the last one done.
        """
        number, whole = self.first_bad.read(self._tensors())
        if number is None and whole:
            return
        what = "the weights are not finite after it" if number is None else "the first whose loss is not finite"
        about = self.about(self._done - 1 if number is None else number)
        step, *others = (f"{name} {value}" for name, value in about.items())
        raise BadStepError("; ".join([f"{step}: {what}", *others]))

    def _tensors(self) -> list[Tensor]:
        """Weights and running statistics of all networks, and what else the method keeps."""
        networks = {*self.meter.networks, self.kept}
        kept = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
        return [*kept, *_tensors_in(self.method.state_dict())]

    def about(self, number: int) -> dict[str, str]:
        """Where a step that was taken stands, what it attacked, and its images' indices in their source's split."""
        epoch, step = divmod(number, self.steps_per_epoch)
        place = f"epoch {epoch + 1} of {self.training.epochs}, step {step + 1} of {self.steps_per_epoch}"
        drawn = self.method.drawn(Step(number, self._rate(number), self.seed, self.device))
        norms = [drawn] if drawn else self.plan.method.norms or []
        images = {f"{s.name} images": ", ".join(map(str, s.sources(number))) for s in self.batches}
        return {"step": f"{number} ({place})", "norm": ", ".join(norms) or "none", **images}

    def _rate(self, number: int) -> float:
        return learning_rate(self.training.schedule, number / self.steps_per_epoch, self.training.epochs)

    @property
    def _done(self) -> int:
        """Steps done, over all epochs."""
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    def _images_seen(self) -> int:
        return self._done * self.training.batch_size

    def _line(self) -> dict[str, Any]:
        """The log's line of an epoch whose steps are done."""
        epoch, images = self.progress.epoch, self.training.batch_size * self.steps_per_epoch
        self.clock.tick()
        spent = self.progress.seconds - self.progress.epoch_began
        with plain(self.classifier):
            self.method.after_epoch(self.classifier, epoch)
        return {
            "epoch": epoch + 1,
            "loss": round(self.total.item() / self.steps_per_epoch, 6),
            "learning_rate": round(self._rate((epoch + 1) * self.steps_per_epoch - 1), 8),
            **self._monitor(epoch),
            **self._selected(epoch + 1),
            **{name: round(value, 6) for name, value in self.method.diagnostics().items()},
            **({"replaced": True} if self.method.replaced else {}),
            "timing": {"images_per_second": round(images / max(spent, 1e-9), 1)},
        }

    def _step(self, number: int, rate: float) -> torch.Tensor:
        batch, step = self.batch(number), Step(number, rate, self.seed, self.device)
        with self.meter.step():
            with self.execution.autocast():
                loss = self.method.loss(self.classifier, batch, step)
            self.optimizer.zero_grad()
            loss.backward()
        with self.execution.autocast(), plain(self.classifier):
            self.method.watch(self.classifier)
        self.optimizer.step(rate)
        if self.average is not None:
            self.average.update(self.classifier)
        self.first_bad.note(number, loss.detach())
        return loss.detach()

    def _monitor(self, epoch: int) -> dict[str, float]:
        generators = {name: stream(self.seed, "monitor", epoch, device=self.device) for name in self.attacks}
        with self.execution.autocast(), plain(self.kept):
            return look(self.kept, self.watched, self.attacks, self.training.monitor.steps, generators)

    def _selected(self, done: int) -> dict[str, float]:
        """The union that an epoch is selected by, where it is due."""
        if self.selection is None or not self.training.select.due(done, self.training.epochs):
            return {}
        with plain(self.kept):
            return {"selection_union": round(self.selection.look(self.kept, done), 2)}

    def _say(self, line: dict[str, Any]) -> None:
        share = line["epoch"] / self.training.epochs
        left = line["timing"]["seconds"] * (1 / share - 1)
        robust = "  ".join(f"{n} {line[f'validation_{n}']:.0f}" for n in ("clean", *self.attacks))
        self.log.step(
            f"{self.log.name}  epoch {line['epoch']}/{self.training.epochs}  loss {line['loss']:.3f}  "
            f"{robust}  {line['timing']['images_per_second']:,.0f} images/s  {left:.0f} s left"
        )

    def _warn(self) -> None:
        """Says in the log where the epoch just done lost a norm's robustness."""
        for found in self._collapses(self.progress.lines[-2:]):
            self.log.line(
                f"{self.log.name}: robust accuracy in {found['norm']} fell from {found['before']:.0f} to "
                f"{found['after']:.0f} % within epoch {found['epoch']}: catastrophic overfitting"
            )

    def _collapses(self, lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Catastrophic overfitting between some epochs; a training that attacks no image has nothing to overfit to."""
        return collapses(lines) if self.meter.to_images else []

    def _state(self) -> dict[str, Any]:
        """All that decides how the training goes on, between two steps."""
        return {
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "selection": self.selection.state_dict() if self.selection else None,
            "method": self.method.state_dict(),
            "meter": self.meter.state_dict(),
            "progress": asdict(self.progress),
            "total": self.total,
            # The project's own draws come from named streams; a layer of the user's, such as dropout, draws from these.
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if self.device == "cuda" else [],
            "of": self.identity,
        }

    def _resume(self) -> None:
        state = self.checkpoints.read(self.device)
        if state is None:
            return
        if state["of"] != self.identity:
            folder = self.checkpoints.last.parent
            raise UserError(f"{folder}: found the checkpoint of another training; allowed: a folder of its own")
        self._load(state)
        where = f"epoch {self.progress.epoch}, step {self.progress.step}"
        self.log.line(f"{self.log.name}: resumes after {where} of {self.steps_per_epoch}")

    def _load(self, state: dict[str, Any]) -> None:
        """Goes on from what `_state` gave."""
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        for part, name in ((self.average, "average"), (self.selection, "selection")):
            if part is not None:
                part.load_state_dict(state[name])
        self.method.load_state_dict(state["method"])
        self.meter.load_state_dict(state["meter"])
        self.progress, self.total = Progress(**state["progress"]), state["total"]
        torch.set_rng_state(state["random"].cpu())
        if self.device == "cuda":
            torch.cuda.set_rng_state_all([each.cpu() for each in state["random_cuda"]])

    def write(self, outputs: Mapping[str, str]) -> None:
        """Writes classifier.safetensors, generator.safetensors (empty for most methods), train.jsonl and train.json.

        Args:
            outputs: the path of each.
        """
        if self.selection is not None:
            self.selection.put(self.kept)
        save_classifier(outputs["classifier.safetensors"], self.kept, self.architecture)
        tensors.write(outputs["generator.safetensors"], self.method.artifact())
        write_text(outputs["train.jsonl"], "".join(json.dumps(line) + "\n" for line in self.progress.lines))
        write_text(outputs["train.json"], json.dumps(self.summary(), indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """What was trained, and what it cost, with what it started from."""
        seen = self._images_seen()
        own = {
            "schema": 1,
            "images_seen": seen,
            "epochs": self.progress.epoch,
            "selected_epoch": self.selection.epoch if self.selection else self.progress.epoch,
            "model": self.architecture.model,
            "device": device_name(self.device),
            "attacked": self.meter.to_images if self.method.trains else None,
            "collapses": self._collapses(self.progress.lines),
            "additional_images": sum(len(s.split) for s in self.batches if s.name == "additional"),
            "seconds": round(self.progress.seconds, 3) if self.method.trains else None,
            "images_per_second": round(seen / max(self.progress.seconds, 1e-9), 1),
            **self._cost(),
        }
        return self.start.added_to(own) if self.start else own

    def _cost(self) -> dict[str, float | None]:
        """What repeats of the cost; None for what was not trained, or could not be counted."""
        cost: dict[str, float | None] = dict.fromkeys(("process_seconds", "flops", "forward_passes"))
        if self.method.trains:
            cost["process_seconds"] = round(self.progress.process_seconds, 3)
            cost["flops"] = flops = self.meter.total()
            with frozen_statistics(self.classifier, "eval"), plain(self.classifier):
                x = self.batch(0).x
                forward = flops_of_a_forward(self.classifier, x) / len(x)
            cost["forward_passes"] = None if flops is None else round(flops / forward, 3)
        return cost


def _tensors_in(state: Any) -> list[Tensor]:
    """All tensors of a state: of dictionaries and lists, and in these."""
    if isinstance(state, Tensor):
        return [state]
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [tensor for each in inner for tensor in _tensors_in(each)]


class Clock:
    """Adds to a training's seconds what has passed since the last look."""

    def __init__(self, progress: Progress, device: str):
        self.progress, self.last, self.processor = progress, time.monotonic(), Stopwatch(device)

    def tick(self) -> None:
        """Looks; on CUDA this waits for the device."""
        process_seconds, now = self.processor.lap(), time.monotonic()
        self.progress.process_seconds += process_seconds
        self.progress.seconds += now - self.last
        self.last = now


def device_name(device: str) -> str:
    """The machine in words: `cpu`, or the card's name."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"
