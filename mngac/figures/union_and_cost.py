"""Union against the cost of training: which methods are worth what they take."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from mngac.figures.style import INK, PAPER, QUIET, title
from mngac.figures.union_panels import FAINT, name, panels, set_unions
from mngac.params.sections import Params, TableParams
from mngac.results.frontier import frontier
from mngac.results.rows import Row

COST = "forward_passes"


def draw(params: Params) -> Figure:
    """A panel a data set: each method at (forward-equivalents of its training, union), the frontier as a line."""
    names = params.tables
    made = panels(
        params, "cost of training", lambda row: bool(row.training(COST)), lambda axis, rows: _panel(axis, rows, names)
    )
    note = (
        f"Under {made.under}; bars: {made.bars}; cost: forward passes of one image, by the row's model, that all steps "
        f"are worth; line, and filled: no cheaper row's interval reaches the row's. {made.of}"
    )
    title(made.figure, "Robustness against all three norms, and what it costs", note)
    return made.figure


def _panel(axis: Axes, rows: list[Row], names: TableParams) -> None:
    rows = sorted(rows, key=lambda row: row.training(COST) or 0.0)
    costs = [row.training(COST) or 0.0 for row in rows]
    bounds = [row.bounds("union") or (0.0, 0.0, 0.0) for row in rows]
    ahead = frontier([(cost, low, high) for cost, (_, low, high) in zip(costs, bounds, strict=True)])
    best: dict[float, float] = {}
    for cost, (union, low, high), on in zip(costs, bounds, ahead, strict=True):
        axis.plot([cost] * 2, [low, high], color=FAINT, lw=0.9, zorder=1)
        axis.scatter(cost, union, 26, color=INK if on else PAPER, edgecolor=INK, lw=0.8, zorder=3)
        if on:
            best[cost] = max(union, best.get(cost, 0.0))
    axis.plot(list(best), list(best.values()), color=QUIET, lw=0.9, drawstyle="steps-post", zorder=2)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(_spelt))
    axis.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.xaxis.set_minor_formatter(FuncFormatter(_spelt))
    set_unions(axis, bounds)
    points = [(cost, union) for cost, (union, _, _) in zip(costs, bounds, strict=True)]
    name(axis, [row.label for row in rows], points, [row.method == names.reference for row in rows])


def _spelt(passes: float, _: int) -> str:
    """A number of passes, for the axis."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if passes >= unit:
            return f"{passes / unit:g}{letter}"
    return f"{passes:g}"
