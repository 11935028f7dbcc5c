"""Clean against union accuracy, the cost of training as the marker's area: what robustness costs."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, PAPER, QUIET, RULE, apart, measured, say, seeds, spread, suites, title
from mngac.params.sections import Params, TableParams
from mngac.results.rows import Row, collect

AREA = 260.0
"""Points squared of the costliest method's marker."""


FAINT = "#b9b9b9"


def draw(params: Params) -> Figure:
    """A panel a data set: each method at (clean, union), with its interval, and a label with its cost."""
    suite, profile = params.run.suites[0], params.run.profiles[0]
    datasets = params.run.datasets
    figure, axes = plt.subplots(1, len(datasets), figsize=(6.2 * len(datasets), 4.4), squeeze=False)
    drawn: list[Row] = []
    notes = []
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = [r for r in collect(params, dataset, params.run.all_methods, suite, profile) if r.shares("union")]
        drawn += rows
        notes.append(measured(dataset, rows))
        if rows:
            _panel(axis, rows, params.tables)
            axis.set_xlabel(f"{dataset}: clean accuracy (%)" if len(datasets) > 1 else "clean accuracy (%)")
        else:
            say(axis, f"{dataset}: no record has all three norms")
    note = (
        f"Under {suites(drawn)}; bars: {spread(drawn)}; area: operations of training (number: "
        f"{params.tables.baseline}'s as 1). "
        f"{'; '.join(notes)}; {seeds(drawn)}."
    )
    title(figure, "Accuracy without attack and under the worst of all attacks", note)
    return figure


def _panel(axis: Axes, rows: list[Row], names: TableParams) -> None:
    most = max((row.training("flops") or 0.0) for row in rows) or 1.0
    points = [(row.bounds("clean"), row.bounds("union")) for row in rows]
    for row, (clean, union) in zip(rows, points, strict=True):
        assert clean is not None and union is not None
        reference = row.method == names.reference
        axis.plot([clean[1], clean[2]], [union[0]] * 2, color=FAINT, lw=0.9, zorder=1)
        axis.plot([clean[0]] * 2, [union[1], union[2]], color=FAINT, lw=0.9, zorder=1)
        area = max(AREA * (row.training("flops") or 0.0) / most, 12.0)
        face = INK if reference else "#bdbdbd"
        axis.scatter(clean[0], union[0], area, color=face, edgecolor=PAPER if reference else INK, lw=0.7, zorder=3)
    lows, highs = zip(*[(u[1], u[2]) for _, u in points if u], strict=True)
    low, high = max(0.0, min(lows) - 2), min(100.0, max(highs) + 2)
    axis.set_ylim(low, high)
    axis.grid(lw=0.4, color=RULE)
    axis.set_axisbelow(True)
    axis.set_ylabel("union: robust to all three norms (%)")
    unions, cleans = [u[0] for _, u in points if u], [c[0] for c, _ in points if c]
    _labels(axis, rows, names, unions, cleans, (low, high))


def _labels(
    axis: Axes,
    rows: list[Row],
    names: TableParams,
    unions: list[float],
    cleans: list[float],
    limits: tuple[float, float],
) -> None:
    """Names in a column at the right, each led to its marker."""
    low, high = limits
    right = axis.get_xlim()[1]
    span = right - axis.get_xlim()[0]
    axis.set_xlim(axis.get_xlim()[0], right)
    ties = [union + 1e-6 * clean for union, clean in zip(unions, cleans, strict=True)]
    baseline = next((row.training("flops") for row in rows if row.method == names.baseline), None)
    places = apart(ties, (high - low) / 20, low + (high - low) / 40, high - (high - low) / 40)
    for row, x, y, place in zip(rows, cleans, unions, places, strict=True):
        flops = row.training("flops")
        cost = f"  {flops / baseline:.2f}" if flops and baseline else ""
        axis.plot([x, right + 0.03 * span], [y, place], color=QUIET, lw=0.5, ls=(0, (1, 1.5)), zorder=2, clip_on=False)
        weight = "bold" if row.method == names.reference else "normal"
        axis.text(right + 0.04 * span, place, row.method + cost, va="center", fontsize=7, fontweight=weight)
