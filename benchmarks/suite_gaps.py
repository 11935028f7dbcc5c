"""How much a suite overstates: its records beside those of a stronger suite, classifier by classifier.

    python benchmarks/suite_gaps.py --reference autoattack records/digits/*/seed0/quick-standard.json
    python benchmarks/suite_gaps.py --make quick autoattack --seeds 10 11 12 13 14 --out /tmp/selection

The first form prints a table of records that exist: l_inf, l_1, l_2 and union of both suites, and the difference. The
second evaluates the classifiers under `trained/` on images to choose with, the validation and unlabelled parts of the
data set, never the test part, and writes records for the first.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from tabulate import tabulate

from mngac.data import store
from mngac.evaluation import evaluate
from mngac.models.files import load_classifier
from mngac.params_file import load
from mngac.paths import data_path
from mngac.provenance import commit
from mngac.records import Record, read

COLUMNS = ("linf", "l1", "l2", "union")


def shares(record: Record) -> list[float]:
    """The columns in percent."""
    return [100 * sum(record.column(c)) / record.n for c in COLUMNS]


def table(paths: list[str], reference: str) -> str:
    """A line a classifier, and the largest differences of each column."""
    lines, gaps = [], []
    for path in map(Path, paths):
        weak = read(path)
        beside = path.with_name(f"{reference}-{weak.profile}.json")
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


def make(dataset: str, suites: list[str], seeds: list[int], out: str) -> None:
    """A record for each trained classifier and suite; those that exist are left as they are."""
    params, data = load(), store.load(data_path(dataset))
    parts = [data.part(name) for name in ("validation", "unlabelled")]
    images, labels, indices = (torch.cat([getattr(p, name) for p in parts]) for name in ("images", "labels", "index"))
    radii = params.radii_for("standard", dataset)
    torch.set_num_threads(1)
    for seed in seeds:
        for path in sorted(Path("trained", dataset).glob(f"*/seed{seed}/classifier.safetensors")):
            method = path.parent.parent.name
            for suite in suites:
                target = Path(out, dataset, method, f"seed{seed}", f"{suite}-standard.json")
                if target.exists():
                    continue
                started = time.process_time()
                found = evaluate(load_classifier(path, "cpu"), images, labels, params.evaluation[suite], radii)
                seconds = time.process_time() - started
                who = dict(dataset=dataset, split="validation and unlabelled", method=method, seed=seed, suite=suite)
                record = found.record(indices.tolist(), {"commit": commit()}, profile="standard", **who)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(record.to_json())
                print(f"{target}  {seconds:.0f} s  {shares(record)}", flush=True)


def main() -> None:
    """Prints a table, or makes records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="*", help="records of the suite in question")
    parser.add_argument("--reference", default="autoattack", help="suite of the records beside them")
    parser.add_argument("--make", nargs="+", metavar="SUITE", help="evaluate with these suites instead")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", default="selection", help="folder of the records made")
    a = parser.parse_args()
    if a.make:
        make(a.dataset, a.make, a.seeds, a.out)
    else:
        print(table(a.records, a.reference))


if __name__ == "__main__":
    main()
