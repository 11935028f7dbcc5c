"""Evaluation outside the DAG: any classifier file -> a record to compare and export.

Tables hold the run's own methods alone; a file becomes one as a method of the kind `imported`.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from mngac import tensors
from mngac.data import store
from mngac.evaluation.loop import evaluate
from mngac.models.files import architecture_of, load_classifier
from mngac.models.foreign import load_foreign
from mngac.params.errors import ParamsError
from mngac.params.registry import find
from mngac.params.sections import Params, Radii, Suite
from mngac.pipeline.cache import Cache, key_of, write_text
from mngac.pipeline.device import device_type
from mngac.pipeline.fingerprint import code_digest, file_digest
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import data_path
from mngac.pipeline.progress import Log
from mngac.pipeline.provenance import provenance
from mngac.results.records import Record

CONTRACT = re.compile(r"(?:.*/)?records/([^/]+)/([^/]+)/seed(\d+)/([^/]+)-([^/]+)\.json")


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


def evaluate_file(params: Params, request: Request) -> Record:
    """Attacks the classifier of a file and writes its record.

    A run that was killed goes on from its last finished task when it is asked for again.

    Raises:
        ParamsError: for a name that params.yaml does not define, a data set that was not prepared, or an `--out`
            whose path says something else.
        ForeignError: for a file that does not hold the model's weights.
    """
    profile = request.profile or params.run.profiles[0]
    suite, radii = _settings(params, request, profile)
    method, training_seed = _who(request, profile)
    data, device = _data(request.dataset), device_type(params.run.device)
    part = data.split(params.run.split)
    n = min(suite.n or len(part), len(part))
    torch.set_num_threads(params.run.threads)
    classifier = open_classifier(request.checkpoint, request.model, len(data.classes), data.shape).to(device)
    parts = _parts(params, request, suite, radii, device)
    key = key_of(parts)
    cache, log = Cache(), Log(name=f"{request.dataset} {method} {request.suite}-{profile}")
    tasks = cache.work(key) / "tasks.jsonl"
    with cache.lock(key):
        images, labels = part.images[:n], part.labels[:n]
        result = evaluate(classifier, images, labels, suite, radii, device=device, resume=tasks, log=log)
        record = result.record(
            part.index[:n].tolist(),
            provenance(key, parts, device),
            _training(request.checkpoint),
            dataset=request.dataset,
            split=params.run.split,
            method=method,
            seed=training_seed,
            suite=request.suite,
            profile=profile,
        )
        write_text(request.out, record.to_json())
        shutil.rmtree(tasks.parent, ignore_errors=True)
    return record


def _data(dataset: str) -> store.DataSet:
    source = data_path(dataset)
    if not Path(source).exists():
        raise ParamsError(f"{source}: not found; make it with: mngac data --dataset {dataset}")
    return store.load(source)


def _training(checkpoint: str) -> dict[str, Any] | None:
    """What the training cost, where train.json lies beside the file."""
    beside = Path(checkpoint).with_name("train.json")
    return json.loads(beside.read_text()) if beside.exists() else None


def open_classifier(path: str, model: str | None, classes: int, shape: tuple[int, ...]) -> nn.Module:
    """The classifier of a file: our own, which names its model, or anybody's, for which `model` must be given.

    Raises:
        ParamsError: where the model is not known, or is not the file's, or was made for other images or classes.
    """
    own = _own_model(path)
    if own and model and own != model:
        raise ParamsError(f"--model: found {model}; allowed: {own}, which {path} names")
    if own:
        _check_images(path, classes, shape)
        return load_classifier(path, "cpu")
    if model is None:
        raise ParamsError(
            f"--model: missing; {path} does not name its model; allowed: such as wrn_28_10, or package.module:function"
        )
    return load_foreign(path, model, classes, shape[0], shape[1])


def _own_model(path: str) -> str | None:
    if Path(path).suffix != ".safetensors" or not Path(path).exists():
        return None
    try:
        return tensors.facts(path).get("model")
    except SafetensorError as error:
        raise ParamsError(
            f"--checkpoint: {path}: not a whole safetensors file ({error}); get or make it again"
        ) from None


def _check_images(path: str, classes: int, shape: tuple[int, ...]) -> None:
    found = architecture_of(path)
    made_for = (found.classes, found.channels, found.size, found.size)
    if made_for != (classes, *shape):
        raise ParamsError(
            f"--checkpoint: {path} is made for {_images(made_for)}; allowed: one for {_images((classes, *shape))}"
        )


def _images(sizes: tuple[int, ...]) -> str:
    classes, *shape = sizes
    return f"{classes} classes of {'x'.join(map(str, shape))} images"


def _settings(params: Params, request: Request, profile: str) -> tuple[Suite, Radii]:
    """The suite, with the request's own n and seed, and the radii."""
    known = {"dataset": request.dataset, "suite": request.suite, "profile": profile}
    job(params, "evaluate", **known, method=next(iter(params.methods)), seed="0")
    changes: dict[str, Any] = {k: v for k, v in (("n", request.n), ("seed", request.seed)) if v is not None}
    if changes.get("n", 1) < 1:
        raise ParamsError(f"--n: found {request.n}; allowed: an integer from 1")
    return params.evaluation[request.suite].model_copy(update=changes), params.radii_for(profile, request.dataset)


def _who(request: Request, profile: str) -> tuple[str, int]:
    """The record's method and training seed: from an `--out` under records/, else the file's name and 0."""
    match = CONTRACT.fullmatch(Path(request.out).as_posix())
    if not match:
        return request.method or Path(request.checkpoint).stem, 0
    dataset, method, seed, suite, of_profile = match.groups()
    said = (request.dataset, request.method or method, request.suite, profile)
    if said != (dataset, method, suite, of_profile):
        raise ParamsError(f"--out: found {request.out}, which is the path of another record than {' '.join(said)}")
    return method, int(seed)


def _parts(params: Params, request: Request, suite: Suite, radii: Radii, device: str) -> dict[str, Any]:
    """What the record depends on, in the form that the DAG's evaluation has."""
    model = request.model or _own_model(request.checkpoint)
    roots = [find("models", model).root] if model else []
    roots += sorted({find("evaluation/attacks", a.attack).root for a in suite.attacks})
    return {
        "stage": "evaluate",
        "params": {
            "suite": suite.model_dump(exclude_none=True, exclude={"processes"}),
            "radii": radii.model_dump(),
            "split": params.run.split,
        },
        "code": {root: code_digest([root]) for root in ["mngac.evaluation.loop", *roots]},
        "versions": {p: importlib.metadata.version(p) for p in ("pyautoattack", "foolbox", "torch")},
        "model": request.model,
        "threads": params.run.threads,
        "device": device,
        "inputs": {"data": file_digest(data_path(request.dataset)), "classifier": file_digest(request.checkpoint)},
    }
