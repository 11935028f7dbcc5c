"""Records and training logs -> figures, PNG and SVG, readable in grey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mngac.jobs import Context
from mngac.params import NORMS, Params
from mngac.paths import trained
from mngac.rows import collect

LABELS = {"clean": "clean", "linf": r"$\ell_\infty$", "l1": r"$\ell_1$", "l2": r"$\ell_2$", "union": "union"}
LINES = {"clean": ("0.6", "-"), "linf": ("#b2182b", "-"), "l1": ("#2166ac", "--"), "l2": ("#1b7837", ":")}
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mngac",
    "figure.constrained_layout.use": True,
}


def motivation(params: Params) -> Figure:
    """Trained on (rows) x attacked with (columns), robust accuracy in percent."""
    columns = (*NORMS, "union")
    suite, profile = params.run.suites[0], params.run.profiles[0]
    figure, axes = plt.subplots(
        1, len(params.run.datasets), figsize=(3.6 * len(params.run.datasets) + 1, 4.4), squeeze=False
    )
    for axis, dataset in zip(axes[0], params.run.datasets, strict=True):
        rows = collect(params, dataset, params.run.all_methods, suite, profile)
        means = [[_mean(row.shares(c)) for c in columns] for row in rows]
        axis.imshow(means, cmap="Greys", vmin=0, vmax=130, aspect="auto")
        for i, values in enumerate(means):
            for j, value in enumerate(values):
                axis.text(j, i, "–" if value != value else f"{value:.0f}", ha="center", va="center")
        axis.set_xticks(range(len(columns)), [LABELS[c] for c in columns])
        axis.set_yticks(range(len(rows)), [row.method for row in rows])
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.set_title(
            f"{dataset}: robust accuracy (%) under {suite}\ntrained with (rows), attacked with (columns)", fontsize=9
        )
        for spine in axis.spines.values():
            spine.set_visible(False)
    return figure


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def learning_curves(params: Params) -> Figure:
    """Clean and per-norm robust accuracy on validation over epochs, a panel a method: overfitting to a norm shows."""
    panels = [(d, m) for d in params.run.datasets for m in params.run.all_methods]
    width = 4
    height = -(-len(panels) // width)
    figure, axes = plt.subplots(
        height, width, figsize=(9, 1.9 * height + 0.4), sharex=False, sharey=True, squeeze=False
    )
    for axis, (dataset, method) in zip(axes.flat, panels, strict=False):
        lines = _log(dict(dataset=dataset, method=method, seed=str(params.run.seeds[0])))
        for name, (colour, style) in LINES.items():
            values = [line[f"validation_{name}"] for line in lines]
            axis.plot([line["epoch"] for line in lines], values, style, color=colour, lw=1.2, label=LABELS[name])
        axis.set_title(f"{method}" if len(params.run.datasets) == 1 else f"{dataset} {method}", fontsize=9)
        axis.set_ylim(0, 100)
        axis.grid(axis="y", lw=0.3, color="0.8")
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    axes[-1][0].set_xlabel("epoch")
    axes[0][0].set_ylabel("accuracy (%)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False)
    figure.suptitle("Accuracy on validation images under the training attacks", fontsize=10)
    return figure


def _log(w: dict[str, str]) -> list[dict[str, Any]]:
    path = Path(trained(w), "train.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(context: Context) -> None:
    """Writes every figure as PNG and SVG."""
    drawn = {"motivation": motivation, "learning_curves": learning_curves}
    with plt.rc_context(STYLE):
        for name, draw in drawn.items():
            figure = draw(context.job.params)
            for form, about in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
                path = Path(context.job.outputs[f"{name}.{form}"])
                path.parent.mkdir(parents=True, exist_ok=True)
                figure.savefig(path, dpi=160, metadata=about)
            plt.close(figure)
    context.log.line(f"figures: {len(drawn)} in results/figures")
