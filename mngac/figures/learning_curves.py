"""Learning curves per norm: overfitting to one norm shows as lines that part."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mngac.figures.style import NORM_LABELS, NORM_LOOKS, empty, percent, say, title
from mngac.params.sections import Params
from mngac.results.training_log import read_log

WIDTH = 4
TITLE = 0.23
"""Inches of the title's first line."""


def draw(params: Params) -> Figure:
    """Clean and per-norm accuracy on validation images over epochs, a panel a method and data set."""
    panels = [(d, m) for d in params.run.datasets for m in params.run.all_methods]
    if not panels:
        return empty("No methods to draw.")
    columns = min(WIDTH, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(5.0, 2.1 * columns), 1.55 * rows + 1.25)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False)
    last: dict[str, dict[str, Any]] = {}
    for axis, (dataset, method) in zip(axes.flat, panels, strict=False):
        lines = read_log(dataset, method, params.run.seeds[0])
        _panel(axis, lines)
        last |= {dataset: lines[-1]} if lines else {}
        axis.set_title(method if len(params.run.datasets) == 1 else f"{dataset} {method}", loc="left")
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    axes[0][0].set_ylabel("accuracy (%)")
    axes[-1][0].set_xlabel("epoch")
    _key(figure)
    counts = "; ".join(f"{dataset}: {_monitor(lines)}" for dataset, lines in last.items())
    about = "Monitor of training (PGD at the training radii, weaker than the evaluation)"
    note = f"{about}: {counts}; seed {params.run.seeds[0]}."
    title(figure, "Accuracy on validation images while training\n", note)
    return figure


def _monitor(line: dict[str, Any]) -> str:
    """What the monitor looked at, from a line of the log."""
    if "validation_images" not in line:
        return "an older log, which does not say how many images"
    return f"first {line['validation_images']} validation images, {line['validation_steps']} steps"


def _panel(axis: Axes, lines: list[dict[str, Any]]) -> None:
    if not lines:
        say(axis, "no training log")
        return
    epochs = [line["epoch"] for line in lines]
    for i, (name, look) in enumerate(NORM_LOOKS.items()):
        values = [line[f"validation_{name}"] for line in lines]
        every = max(len(epochs) // 4, 1)
        axis.plot(epochs, values, **look.line(), marker=look.marker, markersize=2.6, markevery=(i, every))
    percent(axis)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _key(figure: Figure) -> None:
    """One key above all panels, in the line that the title leaves free under itself."""
    handles = [
        plt.Line2D([], [], **look.line(), marker=look.marker, markersize=3, label=NORM_LABELS[name])
        for name, look in NORM_LOOKS.items()
    ]
    under = 1 - TITLE / figure.get_size_inches()[1]
    place: dict[str, Any] = dict(loc="upper left", bbox_to_anchor=(0.008, under), borderaxespad=0.0)
    figure.legend(handles=handles, ncols=len(handles), handlelength=3, fontsize=8, **place)
