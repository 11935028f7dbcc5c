"""The stages of the DAG: paths, parameters and code of each, and the one way in which all are run.

The Snakefile, dvc.yaml and the command line name the same stages; a test expands both engines and compares.
Nothing here imports torch: a cache hit never pays for it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac import progress
from mngac.artifacts import Cache, key_of, write_text
from mngac.fingerprint import code_digest, file_digest
from mngac.params import PACKAGE, Params, ParamsError
from mngac.sources import DataError, identity

Wildcards = Mapping[str, str]
TABLES = ("all", "single_perturbation", "multi_perturbation", "semi_supervised", "components", "motivation")
FORMATS = ("md", "csv", "tex")
FIGURES = ("motivation", "learning_curves")


@dataclass(frozen=True)
class Stage:
    """One stage. Callables take the parameters and the job's wildcards.

    `reads` names the sections of params.yaml that the engines watch; `values` are the resolved ones that go into the
    key. `inputs` and `outputs` are workspace paths by name; those in `notes` are read but are no part of the key.
    """

    name: str
    wildcards: tuple[str, ...]
    reads: tuple[str, ...]
    values: Callable[[Params, Wildcards], dict[str, Any]]
    code: Callable[[Params, Wildcards], list[str]]
    inputs: Callable[[Params, Wildcards], dict[str, str]]
    outputs: Callable[[Params, Wildcards], dict[str, str]]
    run: str
    notes: tuple[str, ...] = ()
    computes: bool = False
    packages: tuple[str, ...] = ()


def data_path(dataset: str) -> str:
    """The data set's tensor file."""
    return f"data/{dataset}.safetensors"


def trained(w: Wildcards) -> str:
    """Folder of one training."""
    return f"trained/{w['dataset']}/{w['method']}/seed{w['seed']}"


def record_path(w: Wildcards) -> str:
    """The record of one evaluation."""
    return f"records/{w['dataset']}/{w['method']}/seed{w['seed']}/{w['suite']}-{w['profile']}.json"


def records_of(params: Params, suite: str | None = None, profile: str | None = None) -> dict[str, str]:
    """Paths of all records of the run, or of one suite and profile."""
    paths = [
        record_path(dict(dataset=d, method=m, seed=str(k), suite=s, profile=p))
        for d in params.run.datasets
        for m in params.run.all_methods
        for k in params.run.seeds
        for s in params.run.suites
        for p in params.run.profiles
        if suite in (None, s) and profile in (None, p)
    ]
    return {path: path for path in paths}


def model_family(name: str) -> str:
    """The file of mngac/models that builds a model, from its name: `wrn_28_10` -> wide_resnet."""
    families = {"wrn": "wide_resnet", "preact": "preact_resnet", "resnet": "resnet", "authors": "authors_resnet"}
    family = families.get(name.split("_")[0])
    if family is None or not (Path(__file__).parent / "models" / f"{family}.py").exists():
        raise ParamsError(f"model: found {json.dumps(name)}; allowed: wrn_<depth>_<width>, preact_resnet_18, resnet_50")
    return family


def _data_values(p: Params, w: Wildcards) -> dict[str, Any]:
    source = p.data[w["dataset"]]
    values: dict[str, Any] = {"data": source.model_dump(exclude_none=True)}
    files = {"source": source.source, "unlabelled": source.unlabelled}
    for key, path in files.items():
        if isinstance(path, str) and path != "extra":
            values[key] = _identity(f"data.{w['dataset']}.{key}", path)
    return values


def _identity(key: str, path: str) -> Any:
    try:
        return identity(path)
    except DataError as error:
        raise ParamsError(f"{key}: {error}") from error


def _train_values(p: Params, w: Wildcards) -> dict[str, Any]:
    training = p.training_for(w["dataset"])
    values = training.model_dump()
    if w["method"] not in p.run.semi_methods:
        del values["semi"]
    entry = p.methods[w["method"]]
    found = {
        "training": values,
        "radii": p.radii_for(training.profile, w["dataset"]).model_dump(),
        "method": entry.model_dump(exclude_none=True),
    }
    return {**found, "checkpoint": file_digest(entry.checkpoint)} if entry.checkpoint else found


def _family(p: Params, w: Wildcards) -> str:
    return model_family(p.methods[w["method"]].model or p.training_for(w["dataset"]).model)


def _train_code(p: Params, w: Wildcards) -> list[str]:
    family = _family(p, w)
    return ["mngac.training", f"mngac.methods.{p.methods[w['method']].kind}", f"mngac.models.{family}"]


def _train_outputs(p: Params, w: Wildcards) -> dict[str, str]:
    names = ("classifier.safetensors", "generator.safetensors", "train.jsonl", "train.json")
    return {name: f"{trained(w)}/{name}" for name in names}


def _evaluate_values(p: Params, w: Wildcards) -> dict[str, Any]:
    return {
        "suite": p.evaluation[w["suite"]].model_dump(exclude_none=True, exclude={"processes"}),
        "radii": p.radii_for(w["profile"], w["dataset"]).model_dump(),
        "split": p.run.split,
    }


def _evaluate_code(p: Params, w: Wildcards) -> list[str]:
    family = _family(p, w)
    adapters = {f"mngac.attacks.adapters.{a.attack}" for a in p.evaluation[w["suite"]].attacks}
    return ["mngac.evaluation", f"mngac.models.{family}", *sorted(adapters)]


def _pseudo_labels(p: Params, w: Wildcards) -> str:
    return f"trained/{w['dataset']}/pseudo_labels/seed{w['seed']}.safetensors"


def _rows(p: Params, w: Wildcards) -> dict[str, Any]:
    return {
        "run": p.run.model_dump(exclude={"device", "threads"}),
        "radii": {d: {q: p.radii_for(q, d).model_dump() for q in p.run.profiles} for d in p.run.datasets},
        "held out": {d: p.data[d].held_out for d in p.run.datasets},
        "paper": file_digest(PACKAGE / "paper_tables.yaml"),
    }


def logs_of(params: Params) -> dict[str, str]:
    """Paths of all training logs of the run."""
    paths = [
        f"{trained(dict(dataset=d, method=m, seed=str(k)))}/train.jsonl"
        for d in params.run.datasets
        for m in params.run.all_methods
        for k in params.run.seeds
    ]
    return {path: path for path in paths}


def _results(folder: str, names: tuple[str, ...], formats: tuple[str, ...]) -> dict[str, str]:
    return {f"{n}.{f}": f"results/{folder}/{n}.{f}" for n in names for f in formats}


TRAIN = ("dataset", "method", "seed")
MACHINE = ("run.device", "run.threads")
TRAIN_READS = ("training", "radii", "methods.{method}", *MACHINE)

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "data",
            ("dataset",),
            reads=("data.{dataset}",),
            values=_data_values,
            code=lambda p, w: ["mngac.data.prepare", f"mngac.data.loaders.{p.data[w['dataset']].loader}"],
            inputs=lambda p, w: {},
            outputs=lambda p, w: {"data": data_path(w["dataset"])},
            run="mngac.data.prepare:run",
        ),
        Stage(
            "train",
            TRAIN,
            reads=TRAIN_READS,
            values=_train_values,
            code=_train_code,
            inputs=lambda p, w: {"data": data_path(w["dataset"])},
            outputs=_train_outputs,
            run="mngac.training:run",
            computes=True,
        ),
        Stage(
            "pseudo_label",
            TRAIN,
            reads=("pseudo_label", *MACHINE),
            values=lambda p, w: {"pseudo_label": p.pseudo_label.model_dump()},
            code=lambda p, w: [
                "mngac.data.pseudo_labels",
                f"mngac.models.{_family(p, w)}",
            ],
            inputs=lambda p, w: {
                "data": data_path(w["dataset"]),
                "teacher": f"{trained(w)}/classifier.safetensors",
            },
            outputs=lambda p, w: {"labels": _pseudo_labels(p, w)},
            run="mngac.data.pseudo_labels:run",
            computes=True,
        ),
        Stage(
            "train_semi",
            TRAIN,
            reads=TRAIN_READS,
            values=_train_values,
            code=_train_code,
            inputs=lambda p, w: {"data": data_path(w["dataset"]), "pseudo_labels": _pseudo_labels(p, w)},
            outputs=_train_outputs,
            run="mngac.training:run",
            computes=True,
        ),
        Stage(
            "evaluate",
            (*TRAIN, "suite", "profile"),
            reads=("evaluation.{suite}", "radii.{profile}", "run.split", *MACHINE),
            values=_evaluate_values,
            code=_evaluate_code,
            inputs=lambda p, w: {
                "data": data_path(w["dataset"]),
                "classifier": f"{trained(w)}/classifier.safetensors",
                "training": f"{trained(w)}/train.json",
            },
            outputs=lambda p, w: {"record": record_path(w)},
            run="mngac.evaluation:run",
            notes=("training",),
            computes=True,
            packages=("pyautoattack", "foolbox"),
        ),
        Stage(
            "metrics",
            ("suite", "profile"),
            reads=("run", "radii", "data"),
            values=_rows,
            code=lambda p, w: ["mngac.tables"],
            inputs=lambda p, w: records_of(p, w["suite"], w["profile"]),
            outputs=lambda p, w: {"metrics": f"results/tables/metrics-{w['suite']}-{w['profile']}.json"},
            run="mngac.tables:run_metrics",
        ),
        Stage(
            "tables",
            (),
            reads=("run", "radii", "data"),
            values=_rows,
            code=lambda p, w: ["mngac.tables"],
            inputs=lambda p, w: records_of(p),
            outputs=lambda p, w: {
                **_results("tables", TABLES, FORMATS),
                "metrics.json": "results/tables/metrics.json",
            },
            run="mngac.tables:run_tables",
        ),
        Stage(
            "figures",
            (),
            reads=("run", "radii", "data"),
            values=_rows,
            code=lambda p, w: ["mngac.figures"],
            inputs=lambda p, w: {**records_of(p), **logs_of(p)},
            outputs=lambda p, w: _results("figures", FIGURES, ("png", "svg")),
            run="mngac.figures:run",
            packages=("matplotlib",),
        ),
    )
}


@functools.cache
def device_type(device: str) -> str:
    """`cpu` or `cuda`; `auto` asks the CUDA driver, without importing torch.

    Raises:
        ParamsError: for `cuda` where no CUDA device is found.
    """
    if device == "cpu":
        return device
    found = _cuda_devices() > 0
    if device == "cuda" and not found:
        raise ParamsError('run.device: found "cuda", but no CUDA device is here; allowed: auto, cpu')
    return "cuda" if found else "cpu"


def _cuda_devices() -> int:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    ready = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if ready else 0


@dataclass(frozen=True)
class Job:
    """A stage with its wildcards and parameters: what an engine runs as one command."""

    stage: Stage
    wildcards: dict[str, str]
    params: Params

    @property
    def inputs(self) -> dict[str, str]:
        """Workspace paths that the job reads."""
        return self.stage.inputs(self.params, self.wildcards)

    @property
    def outputs(self) -> dict[str, str]:
        """Workspace paths that the job makes."""
        return self.stage.outputs(self.params, self.wildcards)

    @property
    def name(self) -> str:
        """File name of the job's log and stamp."""
        return "-".join(self.wildcards.values()) or self.stage.name

    @property
    def log(self) -> str:
        """The job's own log."""
        return f"logs/{self.stage.name}/{self.name}.log"

    @property
    def stamp(self) -> Path:
        """A small file with the job's settings, which changes when they do: Snakemake's input beside the data."""
        return Path(".mngac/stamps", self.stage.name, f"{self.name}.json")

    def settings(self) -> dict[str, Any]:
        """All parts of the key that stand before the inputs exist."""
        run = self.params.run
        parts: dict[str, Any] = {
            "stage": self.stage.name,
            "wildcards": self.wildcards,
            "params": self.stage.values(self.params, self.wildcards),
            "code": {root: code_digest([root]) for root in self.stage.code(self.params, self.wildcards)},
            "versions": {p: importlib.metadata.version(p) for p in self.stage.packages},
        }
        if self.stage.computes:
            parts["threads"] = run.threads
            parts["device"] = device_type(run.device)
            parts["versions"]["torch"] = importlib.metadata.version("torch")
        return parts

    def parts(self) -> dict[str, Any]:
        """All parts of the key: the settings and the digests of the inputs.

        Raises:
            ParamsError: where an input does not exist.
        """
        digests = {}
        for name, path in self.inputs.items():
            if not Path(path).exists():
                raise ParamsError(f"{path}: not found; it is made by an earlier stage: snakemake {path}")
            if name not in self.stage.notes:
                digests[name] = file_digest(path)
        return {**self.settings(), "inputs": digests}

    def write_stamp(self) -> None:
        """Writes the stamp, only when its content differs, so that its time tells when the settings changed."""
        text = json.dumps(self.settings(), indent=1, sort_keys=True) + "\n"
        if not self.stamp.exists() or self.stamp.read_text() != text:
            write_text(self.stamp, text)

    def run(self) -> str:
        """Makes the outputs, or puts them in place from the cache; returns `made` or `cached`.

        The lock is taken before the cache is asked: a job that waited for its twin becomes a hit.
        """
        cache = Cache()
        self.write_stamp()
        parts = self.parts()
        key = key_of(parts)
        with cache.lock(key), progress.log_to(self.log) as log:
            entry = cache.find(key)
            if entry and entry.restore(self.outputs):
                log.line(f"{self.stage.name} {self.name}: from the cache, key {key[:12]}")
                return "cached"
            if self.stage.computes:
                os.environ.update({v: str(self.params.run.threads) for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
            module, function = self.stage.run.split(":")
            work = cache.work(key)
            work.mkdir(parents=True, exist_ok=True)
            getattr(importlib.import_module(module), function)(Context(self, key, parts, work, log))
            cache.store(key, parts, self.outputs)
            return "made"


@dataclass(frozen=True)
class Context:
    """What a stage's function is given."""

    job: Job
    key: str
    parts: dict[str, Any]
    work: Path
    """Folder for checkpoints, outside all outputs; gone once the outputs are stored."""
    log: progress.Log

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return device_type(self.job.params.run.device)


def job(params: Params, stage: str, **wildcards: str) -> Job:
    """A job, its wildcards checked.

    Raises:
        ParamsError: for a data set, method, suite or profile that params.yaml does not define.
    """
    known: dict[str, Any] = {
        "dataset": params.data,
        "method": params.methods,
        "suite": params.evaluation,
        "profile": params.radii,
    }
    for name, value in wildcards.items():
        if name in known and value not in known[name]:
            raise ParamsError(f"--{name}: found {json.dumps(value)}; allowed: {', '.join(known[name])}")
    return Job(STAGES[stage], {name: str(wildcards[name]) for name in STAGES[stage].wildcards}, params)


def jobs(params: Params) -> list[Job]:
    """Every job of the run, in an order in which each comes after what it reads."""
    run = params.run
    seeds = [str(k) for k in run.seeds]
    found = [job(params, "data", dataset=d) for d in run.datasets]
    for stage, methods in (("train", run.methods), ("pseudo_label", run.teachers), ("train_semi", run.semi_methods)):
        found += [job(params, stage, dataset=d, method=m, seed=k) for d in run.datasets for m in methods for k in seeds]
    found += [
        job(params, "evaluate", dataset=d, method=m, seed=k, suite=s, profile=p)
        for d in run.datasets
        for m in run.all_methods
        for k in seeds
        for s in run.suites
        for p in run.profiles
    ]
    found += [job(params, "metrics", suite=s, profile=p) for s in run.suites for p in run.profiles]
    return [*found, job(params, "tables"), job(params, "figures")]
