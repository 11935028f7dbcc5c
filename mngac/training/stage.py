"""The stages `train`, `train_semi` and `train_tuned`: a job's parameters and files around a training."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from mngac.data import store
from mngac.data.additional import read_additional
from mngac.data.pseudo_labels import load_pseudo_labels
from mngac.params.errors import UserError
from mngac.pipeline.jobs import Context, Job
from mngac.pipeline.progress import Log
from mngac.training.bad_steps import BadStepError
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer

if TYPE_CHECKING:
    from mngac.training.start import Start

T = TypeVar("T", bound=Trainer)


def plan_of(job: Job, device: str) -> Plan:
    """What a job trains."""
    params, w = job.params, job.wildcards
    training = params.training_for(w["dataset"], w["method"])
    radii = params.radii_for(training.profile, w["dataset"])
    entry, suites = params.methods[w["method"]], params.evaluation
    selection = suites[training.select.suite] if training.select.best else None
    comparison = suites[entry.suite] if entry.suite else None
    return Plan(training, radii, entry, int(w["seed"]), device, selection, comparison)


def trainer_of(job: Job, device: str, folder: Path, log: Log, kind: type[T]) -> T:
    """The training of a job, of a kind of trainer; its checkpoints lie in the folder."""
    torch.set_num_threads(job.params.run.threads)
    data = store.load(job.inputs["data"])
    path = job.inputs.get("pseudo_labels")
    labels = load_pseudo_labels(path, data) if path else None
    plan, source = plan_of(job, device), job.params.data[job.wildcards["dataset"]].additional
    additional = None
    if plan.training.additional_share and source:
        additional = read_additional(source, data.shape, len(data.classes), folder)
    return kind(data, plan, folder, labels, additional, _start(job), log)


def _start(job: Job) -> Start | None:
    """The classifier that a job goes on from; None for one that begins with random weights."""
    if "start" not in job.inputs:
        return None
    # By its name: what reads the other training's costs is in the keys of the fine-tuned alone.
    kind: type[Start] = importlib.import_module("mngac.training.start").Start
    method = job.params.run.starts[job.wildcards["method"]]
    return kind.of(method, job.inputs["start"], job.inputs["start_training"])


def run(context: Context) -> None:
    """Trains one classifier: classifier, generator (empty but for mng_ac), train.jsonl, train.json.

    Raises:
        UserError: where a step goes wrong, with the command that looks into it.
    """
    trainer = trainer_of(context.job, context.device, context.work, context.log, Trainer)
    try:
        trainer.run()
    except BadStepError as bad:
        options = " ".join(f"--{name} {value}" for name, value in context.job.wildcards.items())
        raise UserError(f"{context.log.name}: {bad.in_full}; look into it with: mngac replay {options}") from bad
    trainer.write(context.outputs)
