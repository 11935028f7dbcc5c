"""How much a suite overstates: its records beside those of a stronger suite, classifier by classifier.

    python benchmarks/suite_gaps.py --reference autoattack --beside aa records/digits/*/seed0/quick-standard.json
    python benchmarks/suite_gaps.py --make quick autoattack --splits validation unlabelled --seeds 10 11 --out selection

The first form prints a table of records that exist: l_inf, l_1, l_2 and union of both suites, and the difference. The
second evaluates classifiers under `trained/` and writes records for the first: on images to choose with, or, once a
suite is chosen, on `--splits test`. With --compile classifiers run through torch.compile, which is 1.4 times as fast
and moves logits by 2e-6.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from tabulate import tabulate

from mngac.data import store
from mngac.evaluation.loop import evaluate
from mngac.evaluation.stage import record_of
from mngac.models.files import load_classifier
from mngac.params.checks import load
from mngac.pipeline.paths import data_path
from mngac.pipeline.provenance import commit
from mngac.results.records import Record, read

COLUMNS = ("linf", "l1", "l2", "union")


def shares(record: Record) -> list[float]:
    """The columns in percent."""
    return [record.share(c) for c in COLUMNS]


def table(paths: list[str], reference: str, folder: str) -> str:
    """A line a classifier whose reference exists in the folder, and each column's largest and mean difference."""
    lines, gaps = [], []
    for path in map(Path, paths):
        weak = read(path)
        beside = Path(folder, weak.dataset, weak.method, f"seed{weak.seed}", f"{reference}-{weak.profile}.json")
        if not beside.exists():
            continue
        strong = read(beside)
        if strong.indices != weak.indices:
            raise SystemExit(f"{path} and {beside} are of different images")
        pairs = list(zip(shares(weak), shares(strong), strict=True))
        gaps.append([a - b for a, b in pairs])
        cells = [f"{a:.1f} / {b:.1f} ({a - b:+.1f})" for a, b in pairs]
        lines.append([f"{weak.method}, seed {weak.seed}", *cells])
    lines.append(["largest", *(f"{max(column):+.1f}" for column in zip(*gaps, strict=True))])
    lines.append(["mean", *(f"{sum(column) / len(column):+.1f}" for column in zip(*gaps, strict=True))])
    return tabulate(lines, ["classifier", *COLUMNS], tablefmt="github")


def make(a: argparse.Namespace) -> None:
    """A record for each trained classifier and suite; those that exist are left as they are."""
    torch.set_num_threads(1)
    methods = a.methods or sorted(path.name for path in Path("trained", a.dataset).iterdir())
    for method in methods:
        for seed in a.seeds:
            path = Path("trained", a.dataset, method, f"seed{seed}", "classifier.safetensors")
            for suite in a.make if path.exists() else []:
                target = Path(a.out, a.dataset, method, f"seed{seed}", f"{suite}-standard.json")
                if not target.exists():
                    attack(a, path, suite, target)


def attack(a: argparse.Namespace, path: Path, suite: str, target: Path) -> None:
    """Writes one record."""
    params, data = load(), store.load(data_path(a.dataset))
    splits = [data.split(name) for name in a.splits]
    images, labels, indices = (torch.cat([getattr(s, name) for s in splits]) for name in ("images", "labels", "index"))
    loaded = load_classifier(path, "cpu")
    classifier = torch.compile(loaded, dynamic=True) if a.compile else loaded
    chosen = params.evaluation[suite].model_copy(update={"seed": a.attack_seed})
    started = time.process_time()
    evaluation = evaluate(classifier, images, labels, chosen, params.radii_for("standard", a.dataset))
    seconds = time.process_time() - started
    who = dict(dataset=a.dataset, method=path.parts[-3], seed=int(path.parts[-2].removeprefix("seed")), suite=suite)
    about = {"commit": commit(), "params": {"suite": chosen.model_dump(exclude_none=True)}}
    record = record_of(
        evaluation, indices.tolist(), about, None, split=" and ".join(a.splits), profile="standard", **who
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(record.to_json())
    print(f"{target}  {seconds:.0f} s  {[round(v, 1) for v in shares(record)]}", flush=True)


def main() -> None:
    """Prints a table, or makes records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="*", help="records of the suite in question")
    parser.add_argument("--reference", default="autoattack", help="the stronger suite")
    parser.add_argument("--beside", default="records", help="folder of its records")
    parser.add_argument("--make", nargs="+", metavar="SUITE", help="evaluate with these suites instead")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--splits", nargs="+", default=["validation", "unlabelled"], help="of the data set")
    parser.add_argument("--methods", nargs="+", help="by default all that are trained")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the trainings")
    parser.add_argument("--attack-seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="run classifiers through torch.compile")
    parser.add_argument("--out", default="selection", help="folder of the records made")
    a = parser.parse_args()
    if a.make:
        make(a)
    else:
        print(table(a.records, a.reference, a.beside))


if __name__ == "__main__":
    main()
