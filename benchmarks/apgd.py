"""The project's own APGD against pyautoattack's: CPU seconds and images still correct, in turns, at equal budgets.

    python benchmarks/apgd.py trained/digits/sat/seed0/classifier.safetensors [--turns 3]

On the data set's validation and unlabelled images, one thread. A ratio under one: the own attack is faster.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from tabulate import tabulate

from mngac.data import store
from mngac.evaluation.loop import evaluate
from mngac.models.files import load_classifier
from mngac.params.checks import load
from mngac.params.sections import AttackConfig, Suite
from mngac.params.types import NORMS, Norm
from mngac.pipeline.paths import data_path

PAIRS = {
    "cross-entropy, 1 start": ({"attack": "apgd_ce", "restarts": 1}, {"attack": "batched_apgd_ce", "restarts": 1}),
    "cross-entropy, 5 starts": ({"attack": "apgd_ce", "restarts": 5}, {"attack": "batched_apgd_ce", "restarts": 5}),
    "targeted, 5 classes": (
        {"attack": "apgd_t", "restarts": 1, "targets": 5},
        {"attack": "batched_apgd_t", "targets": 5},
    ),
}
STEPS = 40


def main() -> None:
    """Prints a line a norm and kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--turns", type=int, default=3)
    a = parser.parse_args()
    torch.set_num_threads(1)
    radii, data = load().radii_for("standard", a.dataset), store.load(data_path(a.dataset))
    splits = [data.split(name) for name in ("validation", "unlabelled")]
    images, labels = (torch.cat([getattr(s, name) for s in splits]) for name in ("images", "labels"))
    classifier = load_classifier(a.checkpoint, "cpu")

    def measure(entry: dict, norm: Norm) -> tuple[float, int]:
        attack = AttackConfig(**entry, norm=norm, steps=STEPS)
        suite = Suite(attacks=[attack], batch_size=500, n=None, seed=0)
        started = time.process_time()
        evaluation = evaluate(classifier, images, labels, suite, radii)
        return time.process_time() - started, sum(evaluation.robust(norm))

    lines = []
    for norm in NORMS:
        for kind, pair in PAIRS.items():
            turns = [[measure(entry, norm) for entry in pair] for _ in range(a.turns)]
            theirs, ours = (statistics.median(turn[i][0] for turn in turns) for i in (0, 1))
            correct = [turns[0][i][1] for i in (0, 1)]
            lines.append([f"{norm}, {kind}", f"{theirs:.2f}", f"{ours:.2f}", f"{ours / theirs:.2f}", *correct])
    header = ["", "pyautoattack (s)", "own (s)", "ratio", "pyautoattack: correct", "own: correct"]
    print(tabulate(lines, header, tablefmt="github"))
    print(f"{len(labels)} images, {STEPS} steps, median of {a.turns} turns, one thread, torch {torch.__version__}")


if __name__ == "__main__":
    main()
