"""What a job of an evaluation attacks: a classifier, images of a split, with a suite and radii."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mngac.data import store
from mngac.models.opened import open_classifier
from mngac.params.sections import Radii, Suite
from mngac.pipeline.jobs import Job


@dataclass(frozen=True)
class Subject:
    """Images uint8 (n, channels, height, width), labels int64 (n,), their indices in the split, what is held out."""

    classifier: nn.Module
    images: Tensor
    labels: Tensor
    index: list[int]
    held_out: str
    suite: Suite
    radii: Radii


def subject(job: Job, device: str, opened: Callable[[store.DataSet], nn.Module] | None = None) -> Subject:
    """Opens what a job names, with the run's threads.

    Args:
        job: of a stage with the wildcards of `evaluate`.
        device: `cpu` or `cuda`, where the classifier is put.
        opened: the classifier for a data set; by default the job's input of that name.
    """
    w, params = job.wildcards, job.params
    torch.set_num_threads(params.run.threads)
    data = store.load(job.inputs["data"])
    split, suite = data.split(params.run.split), params.evaluation[w["suite"]]
    n = min(suite.n or len(split), len(split))
    return Subject(
        (opened(data) if opened else _of_file(job, data)).to(device),
        split.images[:n],
        split.labels[:n],
        split.index[:n].tolist(),
        data.held_out,
        suite,
        params.radii_for(w["profile"], w["dataset"]),
    )


def _of_file(job: Job, data: store.DataSet) -> nn.Module:
    model = job.params.methods[job.wildcards["method"]].model
    return open_classifier(job.inputs["classifier"], model, len(data.classes), data.shape)
