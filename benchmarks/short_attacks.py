"""Few long attacks or many short ones? Images still correct under APGD after 1, 2, 5 ... starts, by number of steps.

    python benchmarks/short_attacks.py trained/digits/mng_ac/seed10 trained/digits/adv_linf/seed10

On the data set's validation and unlabelled images, never on test images: this is what the suite `quick` was chosen by.
Each start is an attack of its own on every image, so that the table shows all prefixes; the last line of a norm is
what all of them together leave.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor, nn

from mngac.attacks.apgd import Problem, cross_entropy, targeted_margin
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.evaluation.acceptance import is_correct
from mngac.evaluation.apgd_until_broken import apgd_until_broken
from mngac.models.files import load_classifier
from mngac.models.frozen import frozen_weights
from mngac.params.checks import load
from mngac.params.types import number
from mngac.pipeline.paths import data_path


def targeted_dlr(logits: Tensor, y: Tensor, aim: Tensor) -> Tensor:
    """The targeted difference of logits ratio (Croce and Hein 2020, equation 6)."""
    ordered = logits.sort(1).values
    return targeted_margin(logits, y, aim) / (ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2 + 1e-12)


LOSSES = {"cross-entropy": cross_entropy, "targeted": targeted_margin, "targeted, ratio": targeted_dlr}
PLAN = {
    "linf": [("cross-entropy", 20, 2), ("cross-entropy", 40, 2), ("targeted", 20, 9), ("targeted, ratio", 20, 9)],
    "l2": [("cross-entropy", 20, 2), ("cross-entropy", 40, 2), ("targeted", 20, 9), ("targeted, ratio", 20, 9)],
    "l1": [
        *(("cross-entropy", 20, 20), ("cross-entropy", 40, 10), ("cross-entropy", 100, 5)),
        *(("targeted", 20, 9), ("targeted, ratio", 20, 9), ("targeted", 40, 9), ("targeted", 100, 5)),
    ],
}
SHOWN = (1, 2, 5, 9, 10, 20)


def still_correct(problem: Problem, x: Tensor, y: Tensor, aims: Tensor) -> Tensor:
    """bool (starts, n): the images that each start by itself does not break."""
    rows = [apgd_until_broken(problem, x, y, aim[None], 100 + k) for k, aim in enumerate(aims)]
    with torch.no_grad():
        return torch.stack([is_correct(problem.classifier(x_adv), y) for x_adv in rows])


def lines(classifier: nn.Module, x: Tensor, y: Tensor, norm: str, radius: float) -> list[list[object]]:
    """A line an attack: norm, loss, steps, and images still correct after so many starts."""
    with torch.no_grad():
        logits = classifier(x)
    whole = is_correct(logits, y)
    x, y = x[whole], y[whole]
    aims = logits[whole].scatter(1, y[:, None], -torch.inf).topk(9, dim=1).indices.T
    rows: list[list[object]] = []
    under_all = torch.ones(len(x), dtype=torch.bool)
    for loss, steps, starts in PLAN[norm]:
        goals = aims[:starts] if "targeted" in loss else y.expand(starts, -1)
        correct = still_correct(Problem(classifier, norm, radius, steps, LOSSES[loss]), x, y, goals)
        under_all &= correct.all(0)
        rows.append([norm, loss, steps, *(int(correct[:k].all(0).sum()) if k <= starts else "" for k in SHOWN)])
    return [*rows, [norm, "all of these", "", *[int(under_all.sum())] * len(SHOWN)]]


def main() -> None:
    """Prints a table a classifier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="folders of trainings")
    parser.add_argument("--dataset", default="digits")
    a = parser.parse_args()
    torch.set_num_threads(1)
    radii, data = load().radii_for("standard", a.dataset), store.load(data_path(a.dataset))
    splits = [data.split(name) for name in ("validation", "unlabelled")]
    images, labels = (torch.cat([getattr(s, name) for s in splits]) for name in ("images", "labels"))
    for folder in a.folders:
        classifier = load_classifier(Path(folder, "classifier.safetensors"), "cpu")
        with frozen_weights(classifier):
            rows = [
                line
                for norm in PLAN
                for line in lines(classifier, to_unit(images), labels, norm, number(getattr(radii, norm)))
            ]
        header = ["norm", "loss", "steps", *(f"{k} starts" for k in SHOWN)]
        print(f"\n{folder}: of {len(labels)} images\n\n{tabulate(rows, header, tablefmt='github')}", flush=True)


if __name__ == "__main__":
    main()
