"""Room that a run takes on the disk and in memory: of what it keeps to the byte, of what it computes with roughly."""

from __future__ import annotations

from dataclasses import dataclass

from mngac.pipeline.jobs import TRAININGS, Job
from mngac.planning.networks import Network
from mngac.planning.steps import Step
from mngac.planning.work import EVALUATIONS, Worker

COPIES = 2
"""Of every output: one in the workspace, one in the cache."""
CHECKPOINTS = 2
"""Of a training: the last, and the one before it."""
NUMBER = 4
"""Bytes of a float32."""
PLACE = 7
"""Bytes of an image's index in a record, as text."""
FOUND = 16
"""Bytes of what a block says of an image under an attack, as text; in the cache alone."""
KEPT = 4
"""Numbers that a training pass keeps, for each that a convolution gives out: as was measured (docs/scaling.md)."""
KEPT_ASKED = 2
"""The same of a pass that an evaluation's attack asks for, whose weights want no gradient: a rough guess."""


@dataclass(frozen=True)
class Space:
    """Bytes."""

    disk: float = 0.0
    """Of a job's outputs, once."""
    checkpoints: float = 0.0
    """While it trains."""
    memory: float = 0.0
    """Of the device, at its peak; rough."""


def _bytes(net: Network) -> float:
    return NUMBER * (net.weights + net.statistics)


def of(worker: Worker, job: Job) -> Space:
    """The room that a job takes.

    Raises:
        Unknown: for a model or data set of one's own.
    """
    name = job.stage.name
    if name == "data":
        return Space(disk=worker.images_of(job).bytes)
    if name == "pseudo_label":
        return Space(disk=8 * worker.images_of(job).unlabelled)
    if name in TRAININGS:
        return _training(worker, job)
    if name in EVALUATIONS:
        return _evaluation(worker, job)
    if name == "unforeseen":
        return _unforeseen(worker, job)
    return Space()


def _training(worker: Worker, job: Job) -> Space:
    step, training, images = worker.step(job), worker.training(job), worker.images_of(job)
    own, soup = step.classifier, step.config.kind == "soup"
    projecting = step.config.kind == "ramp" and bool(step.config.projection)
    beside = [own] * len(step.norms[1:]) if soup else [own] * projecting
    learned = sum(map(_bytes, [own, *beside, *([step.generator] if step.config.kind == "mng_ac" else [])]))
    number = 2 if training.precision.on(worker.device) == "bfloat16" else NUMBER
    passes = number * KEPT * training.batch_size * step.classifier.activations * _views(step)
    held = images.train * images.channels * images.size**2
    copies = (training.average is not None) + training.select.best + projecting
    saved = 2 * learned + copies * _bytes(own)  # velocities are as large as what they move
    gradients_and_start = learned + soup * _bytes(own)
    return Space(learned, CHECKPOINTS * saved, saved + gradients_and_start + passes + held)


def _evaluation(worker: Worker, job: Job) -> Space:
    net, suite = worker.classifier(job), worker.params.evaluation[job.wildcards["suite"]]
    passes = NUMBER * KEPT_ASKED * suite.batch_size * net.activations
    if job.stage.name == "craft":
        images = worker.images_of(job)
        moved = NUMBER * len(suite.norms) * images.channels * images.size**2
        return Space(worker.evaluated(job) * moved, memory=_bytes(net) + passes + worker.evaluated(job) * moved)
    of_an_image = FOUND * len(suite.attacks) / COPIES if "shard" in job.wildcards else len(suite.attacks) + 1 + PLACE
    return Space(worker.evaluated(job) * of_an_image, memory=_bytes(net) + passes)


def _unforeseen(worker: Worker, job: Job) -> Space:
    net, entry = worker.classifier(job), worker.params.unforeseen[job.wildcards["unforeseen"]]
    split = worker.images_of(job).split(worker.params.run.split)
    n, passes = min(entry.n or split, split), NUMBER * KEPT_ASKED * entry.batch_size * net.activations
    return Space(n * (len(entry.attacks) + 1 + PLACE), memory=_bytes(net) + passes)


def _views(step: Step) -> int:
    """Passes whose activations a loss keeps at once."""
    if step.config.kind == "stochastic":
        return 1 + bool(step.config.beta) * (1 + (step.config.noise == "gaussian"))
    return {"trades": 2, "average": len(step.norms), "mng_ac": 3, "ramp": 3}.get(step.config.kind, 1)
