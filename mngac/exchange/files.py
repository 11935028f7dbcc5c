"""Evaluation outside the DAG: any classifier file, or any function that builds one -> a record to compare and export.

It is the DAG's own stage on other paths, with a key that names the model too. Tables hold the run's own methods alone;
a file becomes one as a method of the kind `imported`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from mngac.data import store
from mngac.evaluation.challenge_stage import write_challenge
from mngac.evaluation.held_out import remembered
from mngac.evaluation.stage import write_record
from mngac.evaluation.subject import Subject, subject
from mngac.exchange.readings import stated_clean, usual_of
from mngac.models.normalised import Normalised
from mngac.models.opened import build_classifier, model_named_in, open_classifier, refuse_code
from mngac.params.errors import ParamsError, shown
from mngac.params.registry import find
from mngac.params.sections import MethodConfig, Params
from mngac.pipeline.files import writable
from mngac.pipeline.jobs import Context, Job, job, jobs
from mngac.pipeline.paths import data_path, record_wildcards, trained_wildcards
from mngac.pipeline.stages import STAGES, Stage
from mngac.results import challenges, records
from mngac.results.challenges import Challenge
from mngac.results.records import Record

USUAL_FROM = 5000
"""Training images, at most, that the data set's mean and standard deviation are taken from."""


@dataclass(frozen=True)
class Request:
    """What `mngac evaluate` was asked for outside the DAG; `seed` is the attacks', None leaves the suite's value."""

    checkpoint: str | None
    """File of weights; None where the model's function loads its own."""
    model: str | None
    dataset: str
    suite: str
    profile: str | None
    out: str
    n: int | None = None
    seed: int | None = None
    method: str | None = None
    mean: Sequence[float] | None = None
    """One value, or one a channel: the classifier gets (x - mean) / std. None, with `std`: images in [0, 1]."""
    std: Sequence[float] | None = None
    stated_clean: float | None = None
    """Clean accuracy in percent, as somebody stated it."""


@dataclass(frozen=True)
class FileJob(Job):
    """The stage `evaluate` on a classifier that no stage made, with the record wherever it is wanted."""

    request: Request

    @property
    def model(self) -> str:
        """The classifier's model."""
        return str(self.params.methods[self.wildcards["method"]].model)

    @property
    def inputs(self) -> dict[str, str]:
        """The data set, the file if there is one, and what its training cost where train.json lies beside it."""
        data, checkpoint = {"data": data_path(self.wildcards["dataset"])}, self.request.checkpoint
        if checkpoint is None:
            return data
        beside = Path(checkpoint).with_name("train.json")
        known = {"training": str(beside)} if beside.exists() else {}
        return {**data, "classifier": checkpoint, **known}

    @property
    def outputs(self) -> dict[str, str]:
        """The record."""
        return {"record": self.request.out}

    def stated(self) -> dict[str, Any]:
        """As in the DAG, and all that the request says of the classifier: a file of weights does not say its model."""
        asked = {name: getattr(self.request, name) for name in ("mean", "std", "stated_clean")}
        said = {name: value for name, value in asked.items() if value is not None}
        own = {"weights": _digest_of_own(self)} if self.request.checkpoint is None else {}
        return {**super().stated(), "model": self.model, **said, **own}

    def opened(self, data: store.DataSet) -> nn.Module:
        """The classifier, of images in [0, 1]."""
        path, classes = self.request.checkpoint, len(data.classes)
        inner = (
            build_classifier(self.model, classes, data.shape)
            if path is None
            else open_classifier(path, self.model, classes, data.shape)
        )
        mean, std = self.request.mean, self.request.std
        return inner if mean is None or std is None else Normalised(inner, mean, std)

    def write_stamp(self, changed: int | None = None) -> None:
        """No rule reads one: a stamp here would tell Snakemake that a job of its own had changed."""

    @property
    def digests(self) -> dict[str, dict[str, str]]:
        """Nor does DVC."""
        return {}


@dataclass(frozen=True)
class ChallengeJob(FileJob):
    """The stage `challenge` on what that record left: further seeds and other suites, no other rows' images."""

    @property
    def inputs(self) -> dict[str, str]:
        """Those of the record, and the record."""
        return {**super().inputs, "record": self.request.out}

    @property
    def outputs(self) -> dict[str, str]:
        """What is left, beside the record."""
        return {"challenge": challenge_beside(self.request.out)}


def run(context: Context) -> None:
    """Writes the record of a `FileJob`: with what was stated of the classifier checked, and other images tried."""
    job, given = _given(context)
    data, stated, flags = store.load(job.inputs["data"], verify=False), job.request.stated_clean, []
    if stated is not None:
        usual = usual_of(data.split("train").images[:USUAL_FROM])
        flags = stated_clean(given.classifier, given.images, given.labels, stated, usual)
    if not _untried(data, job.params):
        others = data.split("validation")
        test, held_out = (given.images, given.labels), (others.images, others.labels)
        flags += remembered(given.classifier, test, held_out, given.suite, given.radii, context.device)
    asked = {"model": job.model, "mean": job.request.mean, "std": job.request.std}
    write_record(context, given, flags, {name: value for name, value in asked.items() if value is not None})


def _untried(data: store.DataSet, params: Params) -> str:
    """Why no held-out images are tried; empty where they are."""
    if params.run.split == "validation":
        return "the images are the validation split's, and no others are held out"
    return "" if len(data.splits["validation"]) else "the data set has no validation split"


def not_looked_for(params: Params, request: Request) -> list[str]:
    """What a request's record would not show, and why: sentences."""
    why = _untried(store.load(data_path(request.dataset), verify=False), params)
    return [f"Not looked for: whether images that the classifier has not seen withstand less; {why}."] if why else []


def run_challenge(context: Context) -> None:
    """Writes what a `ChallengeJob` leaves of a record."""
    write_challenge(context, _given(context)[1])


def _given(context: Context) -> tuple[FileJob, Subject]:
    """The job as what it is, and what it attacks."""
    job = context.job
    if not isinstance(job, FileJob):
        raise TypeError(f"{job.name} is a job of the DAG")
    return job, subject(job, context.device, job.opened)


def evaluate_file(params: Params, request: Request) -> Record:
    """Attacks the classifier of a file, or of a function that loads its own weights, and writes its record.

    A run that was killed resumes after its last finished task when it is asked for again; a finished one is a cache
    hit.

    Raises:
        ParamsError: for a name that params.yaml does not define, a data set that was not prepared, a file whose model
            is not known, a normalisation that the images cannot have, or an `--out` whose path says something else.
        ForeignError: for a file that does not hold the model's weights.
    """
    job_of(params, request).run()
    return records.read(request.out)


def job_of(params: Params, request: Request) -> FileJob:
    """The job that a request asks for.

    Raises:
        ParamsError: as for `evaluate_file`.
    """
    profile = request.profile or params.run.profiles[0]
    if request.checkpoint is not None and not Path(request.checkpoint).is_file():
        what = "found a folder" if Path(request.checkpoint).is_dir() else "not found"
        raise ParamsError(f"--checkpoint: {request.checkpoint}: {what}; allowed: a file of weights")
    method, seed = _who(request, profile)
    if method in ("", ".", "..") or "/" in method or not method.isprintable():
        raise ParamsError(f"--method: found {shown(method)}; allowed: a name that can be printed, without /")
    if not Path(data_path(request.dataset)).exists() and request.dataset in params.data:
        source = data_path(request.dataset)
        raise ParamsError(f"{source}: not found; make it with: mngac data --dataset {request.dataset}")
    entry = MethodConfig(kind="imported", checkpoint=request.checkpoint or "none", model=_model(request))
    known = params.model_copy(update={"methods": {**params.methods, method: entry}})
    wild = dict(dataset=request.dataset, method=method, seed=str(seed), suite=request.suite, profile=profile)
    in_dag = job(known, "evaluate", **wild)
    _check_normalisation(request)
    writable(request.out, [request.checkpoint, data_path(request.dataset)])
    _check_apart(params, request.out)
    return FileJob(_outside(in_dag.stage, "run"), in_dag.wildcards, _with_suite(known, request), request)


def _check_apart(params: Params, out: str) -> None:
    """Refuses to write where the run itself does: a table would take the record for the row's own."""
    place = os.path.realpath(out)
    for each in jobs(params):
        if place in map(os.path.realpath, each.outputs.values()):
            allowed = f"another path, since {each.stage.name} of the run writes this one"
            raise ParamsError(f"--out: found {shown(out)}; allowed: {allowed}")


def _outside(stage: Stage, function: str) -> Stage:
    """The stage as this file runs it."""
    return replace(stage, run=f"{__name__}:{function}", code=lambda p, w: [*stage.code(p, w), __name__], collects=False)


def challenge_file(params: Params, request: Request) -> Challenge:
    """Attacks what the request's record, which is there, left of the union; writes it beside the record.

    Raises:
        ParamsError: as for `evaluate_file`.
    """
    evaluated = job_of(params, request)
    stage = _outside(STAGES["challenge"], "run_challenge")
    challenged = ChallengeJob(stage, evaluated.wildcards, evaluated.params, request)
    challenged.run()
    return challenges.read(challenged.outputs["challenge"])


def challenge_beside(out: str) -> str:
    """Where what a challenge leaves of a record lies."""
    return str(Path(out).with_suffix(".challenge.json"))


def check_beside(out: str) -> None:
    """Refuses to put what a challenge leaves beside a record under records/, where records alone lie.

    Raises:
        ParamsError: for an `--out` there.
    """
    if Path(out).resolve().is_relative_to(Path("records").resolve()):
        raise ParamsError(f"--challenge: found --out {shown(out)}; allowed: a path outside records/, where records lie")


def _check_normalisation(request: Request) -> None:
    """Refuses one of --mean and --std alone, as many values as the images have no channels, and a std of 0."""
    given = {name: getattr(request, name) for name in ("mean", "std")}
    if None in given.values():
        for name, values in given.items():
            if values is None and any(v is not None for v in given.values()):
                raise ParamsError(f"--{name}: missing; allowed: both --mean and --std, or neither")
        return
    channels = store.load(data_path(request.dataset), verify=False).shape[0]
    for name, values in given.items():
        if len(values) not in (1, channels):
            allowed = f"one, or {channels}, one a channel" if channels > 1 else "one, for images of one channel"
            raise ParamsError(f"--{name}: found {len(values)} values; allowed: {allowed}")
    if min(given["std"]) <= 0:
        raise ParamsError(f"--std: found {min(given['std']):g}; allowed: values above 0, on pixels in [0, 1]")


@functools.cache
def _weights_of(model: str, dataset: str) -> str:
    data = store.load(data_path(dataset), verify=False)
    digest = hashlib.sha256()
    for name, tensor in build_classifier(model, len(data.classes), data.shape).state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().flatten().view(-1).numpy().tobytes())
    return digest.hexdigest()


def _digest_of_own(job: FileJob) -> str:
    """Of the weights that the model's function loads: its code does not say what lies in the file that it opens."""
    return _weights_of(job.model, job.wildcards["dataset"])


def _model(request: Request) -> str:
    if request.checkpoint is None:
        return _function(request)
    named = model_named_in(request.checkpoint)
    model = request.model or named
    if model is None:
        allowed = "such as wrn_28_10, or package.module:function"
        raise ParamsError(f"--model: missing; {request.checkpoint} does not name its model; allowed: {allowed}")
    if find("models", model, "--model").own:
        refuse_code(request.checkpoint, named, request.model)
    return model


def _function(request: Request) -> str:
    """The model of a request without a file: a function that loads its weights itself."""
    model = request.model or ""
    if not find("models", model, "--model").own:
        raise ParamsError(
            f"--checkpoint: missing; allowed: a file of weights for {model}, or --model package.module:function"
        )
    return model


def _with_suite(params: Params, request: Request) -> Params:
    """The parameters with the request's own n and seed in its suite."""
    changes: dict[str, Any] = {k: v for k, v in (("n", request.n), ("seed", request.seed)) if v is not None}
    if changes.get("n", 1) < 1:
        raise ParamsError(f"--n: found {request.n}; allowed: an integer from 1")
    suite = params.evaluation[request.suite].model_copy(update=changes)
    return params.model_copy(update={"evaluation": {**params.evaluation, request.suite: suite}})


def _who(request: Request, profile: str) -> tuple[str, int]:
    """The record's method and training seed: from an `--out` under records/, a file under trained/, or its name."""
    by_path = record_wildcards(request.out)
    if by_path is None:
        named = request.checkpoint or str(request.model).partition(":")[2]
        trained = trained_wildcards(named) or {"method": Path(named).stem, "seed": "0"}
        return request.method or trained["method"], int(trained["seed"])
    said = (request.dataset, request.method or by_path["method"], request.suite, profile)
    if said != (by_path["dataset"], by_path["method"], by_path["suite"], by_path["profile"]):
        raise ParamsError(f"--out: found {request.out}, which is the path of another record than {' '.join(said)}")
    return by_path["method"], int(by_path["seed"])
