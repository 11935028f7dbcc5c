"""The stages `train` and `train_semi`: a job's parameters and files around a training."""

from __future__ import annotations

import torch

from mngac.data import store
from mngac.data.pseudo_labels import load_pseudo_labels
from mngac.pipeline.jobs import Context, Job
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer


def plan_of(job: Job, device: str) -> Plan:
    """What a job trains."""
    params, w = job.params, job.wildcards
    training = params.training_for(w["dataset"])
    radii = params.radii_for(training.profile, w["dataset"])
    return Plan(training, radii, params.methods[w["method"]], int(w["seed"]), device)


def run(context: Context) -> None:
    """Trains one classifier: classifier, generator (empty but for mng_ac), train.jsonl, train.json."""
    job = context.job
    torch.set_num_threads(job.params.run.threads)
    data = store.load(job.inputs["data"])
    path = job.inputs.get("pseudo_labels")
    labels = load_pseudo_labels(path, data) if path else None
    trainer = Trainer(data, plan_of(job, context.device), context.work, labels, context.log)
    trainer.run()
    trainer.write(context.outputs)
