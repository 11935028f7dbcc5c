"""Clean against union accuracy, the cost of training as the marker's area: what robustness costs."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, PAPER, title
from mngac.figures.union_panels import FAINT, name, panels, set_unions
from mngac.params.sections import Params, TableParams
from mngac.results.rows import Row

AREA = 260.0
"""Points squared of the costliest method's marker."""


def draw(params: Params) -> Figure:
    """A panel a data set: each method at (clean, union), with its interval, and a label with its cost."""
    names = params.tables
    made = panels(params, "clean accuracy (%)", lambda row: True, lambda axis, rows: _panel(axis, rows, names))
    area = f"area: operations of training (number: {names.baseline}'s as 1)"
    note = f"Under {made.under}; bars: {made.bars}; {area}. {made.of}"
    title(made.figure, "Accuracy without attack and under the worst of all attacks", note)
    return made.figure


def _panel(axis: Axes, rows: list[Row], names: TableParams) -> None:
    costs = [row.training("flops") or 0.0 for row in rows]
    most = max(costs) or 1.0
    cleans, unions = ([row.bounds(column) or (0.0, 0.0, 0.0) for row in rows] for column in ("clean", "union"))
    for row, cost, clean, union in zip(rows, costs, cleans, unions, strict=True):
        reference = row.method == names.reference
        axis.plot([clean[1], clean[2]], [union[0]] * 2, color=FAINT, lw=0.9, zorder=1)
        axis.plot([clean[0]] * 2, [union[1], union[2]], color=FAINT, lw=0.9, zorder=1)
        face = INK if reference else "#bdbdbd"
        edge = PAPER if reference else INK
        axis.scatter(clean[0], union[0], max(AREA * cost / most, 12.0), color=face, edgecolor=edge, lw=0.7, zorder=3)
    set_unions(axis, unions)
    baseline = next((row.training("flops") for row in rows if row.method == names.baseline), None)
    relative = [f"  {cost / baseline:.2f}" if cost and baseline else "" for cost in costs]
    texts = [row.method + cost for row, cost in zip(rows, relative, strict=True)]
    points = [(clean[0], union[0]) for clean, union in zip(cleans, unions, strict=True)]
    name(axis, texts, points, [row.method == names.reference for row in rows])
