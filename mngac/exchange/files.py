"""Evaluation outside the DAG: any classifier file -> a record to compare and export.

It is the DAG's own stage on other paths, with a key that names the model too. Tables hold the run's own methods alone;
a file becomes one as a method of the kind `imported`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.models.opened import model_named_in, refuse_code
from mngac.params.errors import ParamsError, shown
from mngac.params.registry import find
from mngac.params.sections import MethodConfig, Params
from mngac.pipeline.files import writable
from mngac.pipeline.jobs import Job, job
from mngac.pipeline.paths import data_path, record_wildcards, trained_wildcards
from mngac.results import records
from mngac.results.records import Record


@dataclass(frozen=True)
class Request:
    """What `mngac evaluate --checkpoint` was asked for; `seed` is the attacks', None leaves the suite's value."""

    checkpoint: str
    model: str | None
    dataset: str
    suite: str
    profile: str | None
    out: str
    n: int | None = None
    seed: int | None = None
    method: str | None = None


@dataclass(frozen=True)
class FileJob(Job):
    """The stage `evaluate` on a file that no stage made, with the record wherever it is wanted."""

    checkpoint: str
    out: str

    @property
    def inputs(self) -> dict[str, str]:
        """The data set, the file, and what its training cost where train.json lies beside it."""
        beside = Path(self.checkpoint).with_name("train.json")
        known = {"training": str(beside)} if beside.exists() else {}
        return {"data": data_path(self.wildcards["dataset"]), "classifier": self.checkpoint, **known}

    @property
    def outputs(self) -> dict[str, str]:
        """The record."""
        return {"record": self.out}

    def stated(self) -> dict[str, Any]:
        """As in the DAG, and the model: a file of weights does not say it, and one file of models builds many."""
        return {**super().stated(), "model": self.params.methods[self.wildcards["method"]].model}

    def write_stamp(self, changed: int | None = None) -> None:
        """No rule reads one: a stamp here would tell Snakemake that a job of its own had changed."""

    @property
    def digests(self) -> dict[str, dict[str, str]]:
        """Nor does DVC."""
        return {}


def evaluate_file(params: Params, request: Request) -> Record:
    """Attacks the classifier of a file and writes its record.

    A run that was killed resumes after its last finished task when it is asked for again; a finished one is a cache
    hit.

    Raises:
        ParamsError: for a name that params.yaml does not define, a data set that was not prepared, a file whose model
            is not known, or an `--out` whose path says something else.
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
    method, seed = _who(request, profile)
    if method in ("", ".", "..") or "/" in method or not method.isprintable():
        raise ParamsError(f"--method: found {shown(method)}; allowed: a name that can be printed, without /")
    if not Path(data_path(request.dataset)).exists() and request.dataset in params.data:
        source = data_path(request.dataset)
        raise ParamsError(f"{source}: not found; make it with: mngac data --dataset {request.dataset}")
    if not Path(request.checkpoint).is_file():
        what = "found a folder" if Path(request.checkpoint).is_dir() else "not found"
        raise ParamsError(f"--checkpoint: {request.checkpoint}: {what}; allowed: a file of weights")
    entry = MethodConfig(kind="imported", checkpoint=request.checkpoint, model=_model(request))
    known = params.model_copy(update={"methods": {**params.methods, method: entry}})
    wild = dict(dataset=request.dataset, method=method, seed=str(seed), suite=request.suite, profile=profile)
    in_dag = job(known, "evaluate", **wild)
    suite = _with_suite(known, request)
    return FileJob(in_dag.stage, in_dag.wildcards, suite, request.checkpoint, writable(request.out))


def _model(request: Request) -> str:
    named = model_named_in(request.checkpoint)
    model = request.model or named
    if model is None:
        allowed = "such as wrn_28_10, or package.module:function"
        raise ParamsError(f"--model: missing; {request.checkpoint} does not name its model; allowed: {allowed}")
    if find("models", model, "--model").own:
        refuse_code(request.checkpoint, named, request.model)
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
        trained = trained_wildcards(request.checkpoint) or {"method": Path(request.checkpoint).stem, "seed": "0"}
        return request.method or trained["method"], int(trained["seed"])
    said = (request.dataset, request.method or by_path["method"], request.suite, profile)
    if said != (by_path["dataset"], by_path["method"], by_path["suite"], by_path["profile"]):
        raise ParamsError(f"--out: found {request.out}, which is the path of another record than {' '.join(said)}")
    return by_path["method"], int(by_path["seed"])
