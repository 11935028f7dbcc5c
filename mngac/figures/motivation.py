"""The motivation matrix: training on one norm leaves the others open."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mngac.figures.style import INK, NORM_LABELS, PAPER, QUIET, measured, seeds, suites, title
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results.rows import Row, collect

COLUMNS = (*NORMS, "union")


def draw(params: Params) -> Figure:
    """Trained with (rows) x attacked with (columns), robust accuracy in percent; a panel a data set."""
    suite, profile = params.run.suites[0], params.run.profiles[0]
    datasets = params.run.datasets
    height = 1.3 + 0.24 * len(params.run.all_methods)
    figure, axes = plt.subplots(1, len(datasets), figsize=(1.4 + 3.4 * len(datasets), height), squeeze=False)
    drawn: list[Row] = []
    counts = []
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = collect(params, dataset, params.run.all_methods, suite, profile)
        _panel(axis, rows, params, dataset)
        drawn += rows
        counts.append(measured(dataset, rows))
    note = (
        f"Robust accuracy in % under {suites(drawn)}; framed: the norm trained on; – not measured. "
        f"{'; '.join(counts)}; {seeds(drawn)}."
    )
    title(figure, "Trained with (rows), attacked with (columns)", note)
    return figure


def _mean(row: Row, column: str) -> float:
    values = row.shares(column)
    return sum(values) / len(values) if values else float("nan")


def _panel(axis: Axes, rows: list[Row], params: Params, dataset: str) -> None:
    means = [[_mean(row, c) for c in COLUMNS] for row in rows]
    axis.imshow([[100 - v for v in values] for values in means], cmap="gray", vmin=-33, vmax=100, aspect="auto")
    for i, (row, values) in enumerate(zip(rows, means, strict=True)):
        for j, value in enumerate(values):
            dark = value > 66
            text = "–" if value != value else f"{value:.0f}"
            axis.text(j, i, text, ha="center", va="center", color=PAPER if dark else INK, fontsize=8)
        norms = params.norms_of(row.method)
        for norm in norms if len(norms) < len(NORMS) else []:
            place = (COLUMNS.index(norm) - 0.45, i - 0.43)
            axis.add_patch(Rectangle(place, 0.9, 0.86, fill=False, edgecolor="#e08a00", linewidth=1.6))
    axis.axvline(len(NORMS) - 0.5, color=PAPER, lw=3)
    axis.set_xticks(range(len(COLUMNS)), [NORM_LABELS[c] for c in COLUMNS], color=INK, fontsize=9)
    axis.set_yticks(range(len(rows)), [row.method for row in rows], color=INK)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.set_xlabel(dataset, color=QUIET)
    for spine in axis.spines.values():
        spine.set_visible(False)
