"""Panels that show each method's union against something else: one a data set, the methods named at its right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import QUIET, RULE, apart, measured, say, seeds, spread, suites
from mngac.params.sections import Params
from mngac.results.rows import Row, collect

FAINT = "#b9b9b9"
"""Of intervals."""


@dataclass(frozen=True)
class Panels:
    """A figure, and the parts of its footnote: suites, what the bars are, images and seeds."""

    figure: Figure
    under: str
    bars: str
    of: str


Draw = Callable[[Axes, list[Row]], None]


def panels(params: Params, across: str, wanted: Callable[[Row], bool], draw: Draw) -> Panels:
    """A panel a data set.

    Args:
        params: whose first suite and profile are shown.
        across: what the panels show from left to right.
        wanted: whether a row has that.
        draw: draws a panel's rows, which have a union.
    """
    suite, profile, datasets = params.run.suites[0], params.run.profiles[0], params.run.datasets
    figure, axes = plt.subplots(1, len(datasets), figsize=(6.2 * len(datasets), 4.4), squeeze=False)
    drawn: list[Row] = []
    notes = []
    for axis, dataset in zip(axes[0], datasets, strict=True):
        found = [r for r in collect(params, dataset, params.run.all_methods, suite, profile) if r.shares("union")]
        rows = [row for row in found if wanted(row)]
        missing = [row.method for row in found if not wanted(row)]
        drawn += rows
        notes.append(measured(dataset, rows) + (f", {across} not known: {', '.join(missing)}" if missing else ""))
        if rows:
            draw(axis, rows)
            axis.set_xlabel(f"{dataset}: {across}" if len(datasets) > 1 else across)
        else:
            say(axis, f"{dataset}: no record has all three norms{', and the ' + across if missing else ''}")
    return Panels(figure, suites(drawn), spread(drawn), f"{'; '.join(notes)}; {seeds(drawn)}.")


def set_unions(axis: Axes, bounds: Sequence[tuple[float, float, float]]) -> None:
    """The axis of the union, around all intervals (union, low, high), and the grid."""
    axis.set_ylim(max(0.0, min(b[1] for b in bounds) - 2), min(100.0, max(b[2] for b in bounds) + 2))
    axis.grid(lw=0.4, color=RULE)
    axis.set_axisbelow(True)
    axis.set_ylabel("union: robust to all three norms (%)")


def name(axis: Axes, texts: Sequence[str], points: Sequence[tuple[float, float]], bold: Sequence[bool]) -> None:
    """Names in a column at the right, each led to its marker at (x, union).

    Args:
        axis: whose limits are set.
        texts: a marker's each.
        points: of the markers.
        bold: whether a name is.
    """
    low, high = axis.get_ylim()
    ties = [y + 1e-6 * k for k, (_, y) in enumerate(points)]
    places = apart(ties, (high - low) / 20, low + (high - low) / 40, high - (high - low) / 40)
    leader = dict(arrowstyle="-", lw=0.5, ls=(0, (1, 1.5)), color=QUIET, shrinkA=0, shrinkB=0, relpos=(0, 0.5))
    for text, point, place, strong in zip(texts, points, places, bold, strict=True):
        axis.annotate(
            text,
            point,
            (1.03, place),
            textcoords=axis.get_yaxis_transform(),
            arrowprops=leader,
            va="center",
            fontsize=7,
            fontweight="bold" if strong else "normal",
            annotation_clip=False,
            zorder=2,
        )
