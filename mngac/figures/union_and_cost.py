"""Union against the cost of training: which methods are worth what they take."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from mngac.figures.style import INK, PAPER, QUIET, RULE, apart, measured, say, seeds, spread, suites, title
from mngac.params.sections import Params, TableParams
from mngac.results.frontier import frontier
from mngac.results.rows import Row, collect

COST = "forward_equivalents"
FAINT = "#b9b9b9"


def draw(params: Params) -> Figure:
    """A panel a data set: each method at (forward-equivalents of its training, union), the frontier as a line."""
    suite, profile = params.run.suites[0], params.run.profiles[0]
    datasets = params.run.datasets
    figure, axes = plt.subplots(1, len(datasets), figsize=(6.2 * len(datasets), 4.4), squeeze=False)
    drawn: list[Row] = []
    notes = []
    for axis, dataset in zip(axes[0], datasets, strict=True):
        found = [r for r in collect(params, dataset, params.run.all_methods, suite, profile) if r.shares("union")]
        rows = [row for row in found if row.training(COST)]
        uncounted = [row.method for row in found if row not in rows]
        drawn += rows
        notes.append(measured(dataset, rows) + (f", without a cost: {', '.join(uncounted)}" if uncounted else ""))
        if rows:
            _panel(axis, rows, params.tables)
            axis.set_xlabel(f"{dataset}: cost of training" if len(datasets) > 1 else "cost of training")
        else:
            say(axis, f"{dataset}: no record of a training whose cost is known has all three norms")
    note = (
        f"Under {suites(drawn)}; bars: {spread(drawn)}; cost: forward passes of one image, by the row's model, that "
        "all steps are worth; line, and filled: no cheaper row's interval reaches the row's. "
        f"{'; '.join(notes)}; {seeds(drawn)}."
    )
    title(figure, "Robustness against all three norms, and what it costs", note)
    return figure


def _panel(axis: Axes, rows: list[Row], names: TableParams) -> None:
    rows = sorted(rows, key=lambda row: row.training(COST) or 0.0)
    costs = [row.training(COST) or 0.0 for row in rows]
    bounds = [row.bounds("union") or (0.0, 0.0, 0.0) for row in rows]
    ahead = frontier([(cost, low, high) for cost, (_, low, high) in zip(costs, bounds, strict=True)])
    best: dict[float, float] = {}
    for cost, (union, _, _), on in zip(costs, bounds, ahead, strict=True):
        if on:
            best[cost] = max(union, best.get(cost, 0.0))
    axis.set_xscale("log")
    axis.plot(list(best), list(best.values()), color=QUIET, lw=0.9, drawstyle="steps-post", zorder=2)
    for cost, (union, low, high), on in zip(costs, bounds, ahead, strict=True):
        axis.plot([cost] * 2, [low, high], color=FAINT, lw=0.9, zorder=1)
        axis.scatter(cost, union, 26, color=INK if on else PAPER, edgecolor=INK, lw=0.8, zorder=3)
    low, high = max(0.0, min(b[1] for b in bounds) - 2), min(100.0, max(b[2] for b in bounds) + 2)
    axis.set_ylim(low, high)
    axis.grid(lw=0.4, color=RULE)
    axis.set_axisbelow(True)
    axis.set_ylabel("union: robust to all three norms (%)")
    axis.xaxis.set_major_formatter(FuncFormatter(_spelt))
    axis.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.xaxis.set_minor_formatter(FuncFormatter(_spelt))
    _labels(axis, rows, names, costs, [b[0] for b in bounds], (low, high))


def _spelt(passes: float, _: int) -> str:
    """A number of passes, for the axis."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if passes >= unit:
            return f"{passes / unit:g}{name}"
    return f"{passes:g}"


def _labels(
    axis: Axes,
    rows: list[Row],
    names: TableParams,
    costs: list[float],
    unions: list[float],
    limits: tuple[float, float],
) -> None:
    """Names in a column at the right, each led to its marker."""
    low, high = limits
    left, right = axis.get_xlim()
    axis.set_xlim(left, right)
    ties = [union + 1e-6 * k for k, union in enumerate(unions)]
    places = apart(ties, (high - low) / 20, low + (high - low) / 40, high - (high - low) / 40)
    beside, text = (right * (right / left) ** share for share in (0.03, 0.04))
    for row, x, y, place in zip(rows, costs, unions, places, strict=True):
        axis.plot([x, beside], [y, place], color=QUIET, lw=0.5, ls=(0, (1, 1.5)), zorder=2, clip_on=False)
        weight = "bold" if row.method == names.reference else "normal"
        axis.text(text, place, row.label, va="center", fontsize=7, fontweight=weight)
