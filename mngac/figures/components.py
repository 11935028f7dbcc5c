"""The components of MNG-AC, one added at a time: bars with intervals."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, NORM_LABELS, PAPER, measured, percent, say, seeds, spread, suites, title
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results.rows import Row, collect

COLUMNS = ("clean", *NORMS, "union")
BLACK = ("#1a1a1a", "")
FACES = (
    *(("#ffffff", ""), ("#d0d0d0", "////"), ("#8f8f8f", "")),
    *(("#ffffff", "...."), ("#d0d0d0", ""), ("#8f8f8f", "xxxx")),
)
"""Bars but for the reference's, which is black; after the last they start again."""
NAMES = {
    "sat": "sat: one norm a batch",
    "sat_ac": "sat_ac: + consistency",
    "sat_ac_noise": "sat_ac_noise: + random noise",
    "mng_ac": "mng_ac: + learned noise",
}


def draw(params: Params) -> Figure:
    """Accuracy of each component's step in percent, a group of bars a column of the tables, a panel a data set."""
    suite, profile = params.run.suites[0], params.run.profiles[0]
    datasets, wanted = params.run.datasets, params.tables.components
    size = (max(7.2, 1.8 * len(wanted)), 2.5 * len(datasets) + 0.9)
    figure, axes = plt.subplots(len(datasets), 1, figsize=size, squeeze=False)
    drawn: list[Row] = []
    notes = []
    for axis, dataset in zip(axes[:, 0], datasets, strict=True):
        rows = collect(params, dataset, wanted, suite, profile)
        missing = [row.method for row in rows if not row.records]
        drawn += rows
        absent = f"; not measured: {', '.join(missing)}" if missing else ""
        notes.append(measured(dataset, rows) + absent)
        if len(missing) == len(rows):
            say(axis, f"{dataset}: none of {', '.join(wanted)} was measured")
            continue
        _bars(axis, rows, params.tables.reference)
        axis.set_title(dataset if len(datasets) > 1 else "", loc="left")
    note = f"Under {suites(drawn)}; whiskers: {spread(drawn)}, not paired. {'; '.join(notes)}; {seeds(drawn)}."
    known = set(wanted) <= set(NAMES)
    title(figure, "Components of MNG-AC, one added at a time" if known else "Components", note)
    return figure


def _bars(axis: Axes, rows: list[Row], reference: str) -> None:
    width = 0.8 / len(rows)
    others = [row.method for row in rows if row.method != reference]
    faces = {**dict(zip(others, itertools.cycle(FACES), strict=False)), reference: BLACK}
    for i, row in enumerate(rows):
        for j, column in enumerate(COLUMNS):
            bounds = row.bounds(column)
            place = j - 0.4 + (i + 0.5) * width
            if bounds is None:
                axis.text(place, 2, "–", ha="center", color=INK)
                continue
            centre, low, high = bounds
            face, hatch = faces[row.method]
            axis.bar(place, centre, 0.9 * width, color=face, hatch=hatch, edgecolor=INK, lw=0.6)
            axis.plot([place, place], [low, high], color=INK, lw=1.0, solid_capstyle="butt", zorder=3)
            axis.plot([place, place], [low, centre], color="#ffffff" if face == BLACK[0] else INK, lw=1.0, zorder=4)
            axis.text(place, high + 1.5, f"{centre:.0f}", ha="center", fontsize=6.5)
            if j == 0:
                box = dict(facecolor=PAPER, edgecolor="none", pad=1.0)
                axis.text(
                    place,
                    4,
                    NAMES.get(row.method, row.method),
                    rotation=90,
                    ha="center",
                    va="bottom",
                    fontsize=6.5,
                    bbox=box,
                )
    percent(axis, "accuracy (%)")
    axis.set_ylim(0, 109)
    axis.set_xlim(-0.5, len(COLUMNS) - 0.5)
    axis.set_xticks(range(len(COLUMNS)), [NORM_LABELS[c] for c in COLUMNS], color=INK, fontsize=9)
    axis.tick_params(axis="x", length=0)
