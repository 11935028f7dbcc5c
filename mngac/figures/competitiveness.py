"""Robust accuracy over the radius with the specialists' envelope, and the competitiveness ratios of every method.

The stage `competitiveness`: its table and its figure. Loads without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import (
    INK,
    NORM_LABELS,
    PAPER,
    QUIET,
    RULE,
    STYLE,
    Look,
    apart,
    method_looks,
    percent,
    save,
    say,
    title,
)
from mngac.params.types import NORMS, number
from mngac.pipeline.jobs import Context
from mngac.results import printed, wording
from mngac.results.bootstrap import Bounds
from mngac.results.competitiveness import ALL, Competitiveness, measured
from mngac.results.competitiveness_table import comma_separated, section, shown_sets, uncertainty
from mngac.results.rows import Row

FAINT = "#c9c9c9"
"""Of the curves of the specialists, which are rows below."""
ENVELOPE = Look("#8c1420", (0, (3, 1)), "_", 2.2)
AVERAGE, WORST = Look(INK, "-", "o"), Look("#c2622d", "-", "D")
ROOM = 0.3
"""Of a row's height: how far its two markers lie apart."""


def run(context: Context) -> None:
    """Writes the table in three forms and the figure in two."""
    params, name, outputs = context.job.params, context.job.wildcards["space"], context.outputs
    found = [measured(params, dataset, name) for dataset in params.run.datasets]
    made = [section(each, name) for each in found]
    printed.write(outputs, "competitiveness", made, comma_separated(found, name))
    with plt.rc_context(STYLE):
        figure = draw(found, params.tables.reference)
        save(figure, outputs["competitiveness.png"], outputs["competitiveness.svg"])
    context.log.line(f"competitiveness {name}: {len(made[0].printed)} methods")


def draw(found: Sequence[Competitiveness], reference: str) -> Figure:
    """For each data set curves above, a panel a norm and one for the union; ratios below, a panel a set of attacks."""
    heights = [height for each in found for height in (3.4, 1.0 + 0.19 * len(each.standings))]
    columns = 1 + max(len(_norms(each)) for each in found)
    figure, axes = plt.subplots(
        len(heights), columns, figsize=(2.75 * columns, sum(heights)), height_ratios=heights, squeeze=False
    )
    for i, each in enumerate(found):
        _curves(axes[2 * i], each, reference)
        _ratios(axes[2 * i + 1], each, reference)
    title(figure, "Robust accuracy over the radius, and how near it comes to the specialists'", _note(found))
    return figure


def _norms(found: Competitiveness) -> list[str]:
    return [norm for norm in NORMS if norm in found.space.specialists]


def _note(found: Sequence[Competitiveness]) -> str:
    measured = "; ".join(f"{each.dataset}: {wording.images(each.records)}, {_radii(each)}" for each in found)
    records = [record for each in found for record in each.records]
    return (
        f"Under {wording.suites(records)}; {measured}, on images in [0, 1]; {wording.seeds(records)}. Above: broken "
        "red line, the envelope of the specialists, each trained against this norm in this ball alone; grey, the "
        "specialists as rows; at 0, clean images. Below, in percent of the envelope: circles, mean over the attacks; "
        "diamonds, the least. "
        f"{uncertainty(found[0]).replace('In brackets', 'Lines')}"
    )


def _radii(found: Competitiveness) -> str:
    records = {p: [r for row in rows for r in row.records] for p, rows in found.rows.items()}
    return "; ".join(f"{profile} {wording.radii(each, NORM_LABELS)}" for profile, each in records.items())


def _curves(axes: Sequence[Axes], found: Competitiveness, reference: str) -> None:
    """Robust accuracy at each radius: of every norm of the space, and of the union."""
    for axis, column in zip(axes, [*_norms(found), "union"], strict=False):
        curves = {m: c for m in _methods(found) if (c := _curve(found, m, column)) is not None}
        if not curves:
            say(axis, f"{found.dataset}: no record of {column}")
            continue
        across = _across(found, column)
        percent(axis)
        axis.set_xticks([0.0, *across], ["0", *_labels(found, column)])
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"{NORM_LABELS[column]} radius" if column != "union" else "union, by radii")
        _lines(axis, across, curves, set(found.space.methods.values()), reference)
        if column != "union":
            axis.plot(across, _envelope(found, column), **ENVELOPE.line(), marker=ENVELOPE.marker, zorder=4)
    axes[0].set_ylabel(f"{found.dataset}: robust accuracy (%)")


def _methods(found: Competitiveness) -> list[str]:
    return [standing.method for standing in found.standings]


def _written(found: Competitiveness, norm: str) -> list[str]:
    """A norm's radii as the records have them, one a profile."""
    return [next(r.radii()[norm] for row in found.rows[p] for r in row.records) for p in found.space.profiles]


def _across(found: Competitiveness, column: str) -> list[float]:
    """Where the curves have their points: each radius over the largest; the union's as the first norm's."""
    radii = [number(text) for text in _written(found, column if column != "union" else _norms(found)[0])]
    return [radius / radii[-1] for radius in radii]


def _labels(found: Competitiveness, column: str) -> list[str]:
    """What stands there: a norm's radii, names of profiles for the union."""
    return [p.replace("_", "\n") for p in found.space.profiles] if column == "union" else _written(found, column)


def _row(found: Competitiveness, method: str, profile: str) -> Row:
    return next(row for row in found.rows[profile] if row.method == method)


def _curve(found: Competitiveness, method: str, column: str) -> list[float] | None:
    """Means over seeds in percent: of clean images, and at each radius."""
    rows = [_row(found, method, profile) for profile in found.space.profiles]
    bounds = [rows[0].bounds("clean"), *(row.bounds(column) for row in rows)]
    return [b[0] for b in bounds if b] if all(bounds) else None


def _envelope(found: Competitiveness, norm: str) -> list[float]:
    """What each radius's own specialist reaches there."""
    own = [attack for attack in found.attacks if attack.column == norm]
    bounds = [_row(found, attack.specialist, attack.profile).bounds(norm) for attack in own]
    return [b[0] if b else float("nan") for b in bounds]


def _lines(
    axis: Axes, across: list[float], curves: dict[str, list[float]], specialists: set[str], reference: str
) -> None:
    """A line a method: specialists faint, each other named at its end, to which a hair leads."""
    named = [method for method in curves if method not in specialists]
    looks, places = method_looks(named, reference), [0.0, *across]
    for method in [m for m in curves if m in specialists]:
        axis.plot(places, curves[method], color=FAINT, lw=0.8, zorder=1)
    ends = apart([curves[method][-1] for method in named], 6.4, 1, 101)
    for method, end in zip(named, ends, strict=True):
        look, values = looks[method], curves[method]
        axis.plot(places, values, **look.line(), marker=look.marker, markersize=3, clip_on=False, zorder=3)
        axis.plot([1, 1.07], [values[-1], end], color=look.colour, lw=0.5, clip_on=False, zorder=2)
        weight = "bold" if method == reference else "normal"
        axis.text(1.085, end, method, fontsize=6, va="center", color=look.colour, fontweight=weight, clip_on=False)


def _ratios(axes: Sequence[Axes], found: Competitiveness, reference: str) -> None:
    """A row a method: mean and least ratio with their intervals, for each norm and for all attacks."""
    methods = _methods(found)
    for axis, key in zip(axes, shown_sets(found), strict=False):
        for i, standing in enumerate(found.standings):
            own = standing.ratios[key]
            _mark(axis, i - ROOM / 2, own.average, AVERAGE, INK)
            _mark(axis, i + ROOM / 2, own.worst, WORST, PAPER)
        axis.axvline(100, color=QUIET, lw=0.8, zorder=0)
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.set_xlim(left=0)
        axis.set_yticks(range(len(methods)), methods if axis is axes[0] else [""] * len(methods))
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.grid(axis="y", lw=0.4, color=RULE)
        axis.set_axisbelow(True)
        axis.set_xlabel(
            f"{NORM_LABELS[key]}: competitiveness ratio (%)" if key != ALL else "all: competitiveness ratio (%)"
        )
    for label in axes[0].get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == reference else "normal")


def _mark(axis: Axes, place: float, bounds: Bounds | None, look: Look, face: str) -> None:
    if bounds is None:
        return
    centre, low, high = bounds
    axis.plot([low, high], [place, place], color=look.colour, lw=0.9, zorder=2)
    shape: dict[str, Any] = dict(marker=look.marker, color=look.colour, markerfacecolor=face, markersize=3.4, mew=0.9)
    axis.plot([centre], [place], **shape, clip_on=False, zorder=3)
