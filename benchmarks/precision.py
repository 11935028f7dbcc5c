"""What bfloat16 costs in accuracy: trainings of the same seeds in either precision, and attacks in either.

Trained and evaluated by the pipeline's own jobs in `--work`, a folder whose artifact cache lets a run that was broken
off go on. Equal within a point is said of a method where the 90 % interval of the paired difference lies within ±1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.settings import ROOT
from mngac.data import store
from mngac.evaluation.loop import evaluate
from mngac.models.files import load_classifier
from mngac.params.checks import parse
from mngac.params.sections import Params
from mngac.pipeline.jobs import job
from mngac.results.records import Record, read
from mngac.results.statistics import paired_t

METHODS = ["adv_linf", "sat", "trades_linf", "mng_ac"]
PRECISIONS = ("float32", "bfloat16")
LEVEL, POINT = 0.9, 1.0
"""Of the interval, and the percent within which two precisions count as equal."""
SUITE, PROFILE = "quick", "standard"
HELD_OUT = ("validation", "unlabelled")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    parser.add_argument("--work", type=Path, required=True, help="folder of trainings, records and their cache")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="METHOD")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20, 30)), metavar="SEED")
    parser.add_argument("--epochs", type=int, help="by default those of params.yaml")
    parser.add_argument("--n", type=int, help="images attacked, the first ones (default: all)")


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a method."""
    a.work.mkdir(parents=True, exist_ok=True)
    for method in a.methods:
        with contextlib.chdir(a.work), own_cache():
            found = row(a, method)
        yield found


@contextlib.contextmanager
def own_cache() -> Iterator[None]:
    """The artifact cache is a folder of the work folder, which is the current one."""
    was = os.environ.get("MNGAC_CACHE")
    os.environ["MNGAC_CACHE"] = str(Path("cache").absolute())
    try:
        yield
    finally:
        if was is None:
            del os.environ["MNGAC_CACHE"]
        else:
            os.environ["MNGAC_CACHE"] = was


def row(a: argparse.Namespace, method: str) -> dict[str, Any]:
    """Differences of a method's accuracies, bfloat16 minus float32, in percent; and what attacks leave standing."""
    found = {p: [record(params(a, p), a.dataset, method, seed, p) for seed in a.seeds] for p in PRECISIONS}
    union = differences(found, "union")
    mean, low, high, _ = paired_t(union, LEVEL)
    clean = paired_t(differences(found, "clean"), LEVEL)
    return {
        "method": method,
        "seeds": a.seeds,
        "n": found["float32"][0].n,
        "union": {"mean": round(mean, 2), "low": rounded(low), "high": rounded(high)},
        "clean": {"mean": round(clean[0], 2), "low": rounded(clean[1]), "high": rounded(clean[2])},
        "within": low is not None and high is not None and max(-low, high) <= POINT,
        "unions": {p: [round(record.share("union"), 2) for record in found[p]] for p in PRECISIONS},
        **standing(a, method),
    }


def rounded(value: float | None) -> float | None:
    """To a hundredth of a percent; None where the differences are all alike."""
    return None if value is None else round(value, 2)


def differences(found: dict[str, list[Record]], column: str) -> list[float]:
    """Seed by seed, in percent."""
    pairs = zip(found["bfloat16"], found["float32"], strict=True)
    return [low.share(column) - full.share(column) for low, full in pairs]


def params(a: argparse.Namespace, precision: str) -> Params:
    """params.yaml, on the CPU, with trainings in a precision."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["run"] |= {"device": "cpu", "split": "test"}
    raw["evaluation"][SUITE]["n"] = a.n
    training = raw["training"][a.dataset]
    training["precision"] = {"cpu": precision}
    if a.epochs:
        training |= {"epochs": a.epochs, "schedule": {"peak_epoch": a.epochs / 3}}
    return parse(raw)


def record(of: Params, dataset: str, method: str, seed: int, precision: str) -> Record:
    """The record of a training, made or taken from the cache; kept apart by precision."""
    who = {"dataset": dataset, "method": method, "seed": str(seed)}
    Path(precision).mkdir(exist_ok=True)
    with contextlib.chdir(precision):
        job(of, "data", dataset=dataset).run()
        job(of, "train", **who).run()
        evaluation = job(of, "evaluate", **who, suite=SUITE, profile=PROFILE)
        evaluation.run()
        return read(evaluation.outputs["record"])


def standing(a: argparse.Namespace, method: str) -> dict[str, Any]:
    """Of the held-out images, those left right on the first seed's float32 classifier, by the attacks' precision."""
    of = params(a, "float32")
    trained = job(of, "train", dataset=a.dataset, method=method, seed=str(a.seeds[0]))
    folder = Path("float32")
    data = store.load(folder / trained.inputs["data"])
    splits = [data.split(name) for name in HELD_OUT]
    images, labels = (torch.cat([getattr(s, name) for s in splits])[: a.n] for name in ("images", "labels"))
    classifier = load_classifier(folder / trained.outputs["classifier.safetensors"], "cpu")
    left = {}
    for precision in PRECISIONS:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            found = evaluate(
                classifier, images, labels, of.evaluation[SUITE], of.radii_for(PROFILE, a.dataset), device="cpu"
            )
        left[precision] = {norm: sum(found.robust(norm)) for norm in ("linf", "l1", "l2")} | {
            "union": sum(found.union())
        }
    return {"attacked": len(labels), "standing": left}
