"""The stages of the DAG: inputs, outputs, parameters and code of each.

The Snakefile, dvc.yaml and the command line name the same stages; a test expands both engines and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.params.errors import DataError, ParamsError
from mngac.params.registry import find
from mngac.params.sections import Params
from mngac.pipeline.files import identity
from mngac.pipeline.fingerprint import ROOT, file_digest
from mngac.pipeline.paths import (
    FIGURES,
    FORMATS,
    IMAGES,
    MODEL_FIGURES,
    TABLES,
    Wildcards,
    data_path,
    drawn_methods,
    figure_path,
    images_of,
    logs_of,
    models_of,
    pseudo_labels,
    record_path,
    records_of,
    trained,
)


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
    found: dict[str, Any] = {
        "training": values,
        "radii": p.radii_for(training.profile, w["dataset"]).model_dump(),
        "method": entry.model_dump(exclude_none=True),
    }
    if entry.checkpoint:
        key = f"methods.{w['method']}.checkpoint"
        if Path(entry.checkpoint).is_dir():
            raise ParamsError(f"{key}: found the folder {entry.checkpoint}; allowed: a file of weights")
        found["checkpoint"] = _identity(key, entry.checkpoint)
    return found


def _model(p: Params, w: Wildcards) -> str:
    return find("models", p.methods[w["method"]].model or p.training_for(w["dataset"]).model).root


def _train_code(p: Params, w: Wildcards) -> list[str]:
    return ["mngac.training.trainer", find("methods", p.methods[w["method"]].kind).root, _model(p, w)]


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
    adapters = {find("evaluation/attacks", a.attack).root for a in p.evaluation[w["suite"]].attacks}
    return ["mngac.evaluation.loop", _model(p, w), *sorted(adapters)]


def _rows(p: Params, w: Wildcards) -> dict[str, Any]:
    return {
        "run": p.run.model_dump(exclude={"device", "threads"}),
        "radii": {d: {q: p.radii_for(q, d).model_dump() for q in p.run.profiles} for d in p.run.datasets},
        "tables": p.tables.model_dump(),
        "held out": {d: p.data[d].held_out for d in p.run.datasets},
        "paper": file_digest(ROOT / "mngac/results/paper_tables.yaml"),
        "spread of seeds": file_digest(ROOT / "mngac/results/seed_spread.yaml"),
    }


def _results(folder: str, names: tuple[str, ...], formats: tuple[str, ...]) -> dict[str, str]:
    return {f"{n}.{f}": f"results/{folder}/{n}.{f}" for n in names for f in formats}


def _figure_outputs(p: Params, w: Wildcards) -> dict[str, str]:
    figures = {f"{n}.{f}": figure_path(n, f) for n in FIGURES for f in IMAGES}
    return {**figures, "training_curves.csv": "results/plots/training_curves.csv"}


def _model_figure_values(p: Params, w: Wildcards) -> dict[str, Any]:
    return {
        "figures": p.figures.model_dump(),
        "radii": p.radii_for(p.run.profiles[0], w["dataset"]).model_dump(),
        "split": p.run.split,
        "reference": p.tables.reference,
    }


def _model_figure_outputs(p: Params, w: Wildcards) -> dict[str, str]:
    figures = {f"{n}.{f}": figure_path(n, f, w["dataset"]) for n in MODEL_FIGURES for f in IMAGES}
    return {**figures, "over_radius.csv": f"results/plots/over_radius-{w['dataset']}.csv"}


def _model_figure_code(p: Params, w: Wildcards) -> list[str]:
    return ["mngac.figures.from_models", *sorted({_model(p, {**w, "method": m}) for m in drawn_methods(p)})]


def _report_values(p: Params, w: Wildcards) -> dict[str, Any]:
    captions = sorted((ROOT / "workflow/report").glob("*.rst"))
    return {
        "params": p.model_dump(),
        "paper": file_digest(ROOT / "mngac/results/paper_tables.yaml"),
        "style": file_digest(ROOT / "mngac/report/style.css"),
        "captions": {path.stem: file_digest(path) for path in captions},
    }


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
            code=lambda p, w: ["mngac.data.prepare", find("data/loaders", p.data[w["dataset"]].loader).root],
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
            run="mngac.training.trainer:run",
            computes=True,
        ),
        Stage(
            "pseudo_label",
            TRAIN,
            reads=("pseudo_label", *MACHINE),
            values=lambda p, w: {"pseudo_label": p.pseudo_label.model_dump()},
            code=lambda p, w: ["mngac.data.pseudo_labels", _model(p, w)],
            inputs=lambda p, w: {
                "data": data_path(w["dataset"]),
                "teacher": f"{trained(w)}/classifier.safetensors",
            },
            outputs=lambda p, w: {"labels": pseudo_labels(w)},
            run="mngac.data.pseudo_labels:run",
            computes=True,
        ),
        Stage(
            "train_semi",
            TRAIN,
            reads=TRAIN_READS,
            values=_train_values,
            code=_train_code,
            inputs=lambda p, w: {"data": data_path(w["dataset"]), "pseudo_labels": pseudo_labels(w)},
            outputs=_train_outputs,
            run="mngac.training.trainer:run",
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
            run="mngac.evaluation.loop:run",
            notes=("training",),
            computes=True,
            packages=("pyautoattack", "foolbox"),
        ),
        Stage(
            "metrics",
            ("suite", "profile"),
            reads=("run", "radii", "data", "tables"),
            values=_rows,
            code=lambda p, w: ["mngac.results.tables"],
            inputs=lambda p, w: records_of(p, w["suite"], w["profile"]),
            outputs=lambda p, w: {"metrics": f"results/tables/metrics-{w['suite']}-{w['profile']}.json"},
            run="mngac.results.tables:run_metrics",
        ),
        Stage(
            "tables",
            (),
            reads=("run", "radii", "data", "tables"),
            values=_rows,
            code=lambda p, w: ["mngac.results.tables"],
            inputs=lambda p, w: records_of(p),
            outputs=lambda p, w: {
                **_results("tables", TABLES, FORMATS),
                "metrics.json": "results/tables/metrics.json",
            },
            run="mngac.results.tables:run_tables",
        ),
        Stage(
            "figures",
            (),
            reads=("run", "radii", "data", "tables", "training", "methods"),
            values=lambda p, w: {
                **_rows(p, w),
                "norms": {m: p.methods[m].norms for m in p.run.all_methods},
                "monitor": {d: p.training_for(d).monitor.model_dump() for d in p.run.datasets},
            },
            code=lambda p, w: ["mngac.figures.from_records"],
            inputs=lambda p, w: {**records_of(p), **logs_of(p)},
            outputs=_figure_outputs,
            run="mngac.figures.from_records:run",
            packages=("matplotlib",),
        ),
        Stage(
            "model_figures",
            ("dataset",),
            reads=("run", "radii", "tables", "figures"),
            values=_model_figure_values,
            code=_model_figure_code,
            inputs=lambda p, w: {"data": data_path(w["dataset"]), **models_of(p, w["dataset"])},
            outputs=_model_figure_outputs,
            run="mngac.figures.from_models:run",
            computes=True,
            packages=("matplotlib",),
        ),
        Stage(
            "report",
            (),
            reads=("run", "data", "radii", "training", "pseudo_label", "methods", "evaluation", "tables", "figures"),
            values=_report_values,
            code=lambda p, w: ["mngac.report.page"],
            inputs=lambda p, w: {**records_of(p), **images_of(p)},
            outputs=lambda p, w: {"report": "results/report.html"},
            run="mngac.report.page:run",
        ),
    )
}
