"""The stage `tightness`: unions at first and after each round that challenged them, as a table and a figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, QUIET, STYLE, apart, method_looks, save, say, title
from mngac.pipeline.jobs import Context
from mngac.results import printed, tightness_table
from mngac.results.challenges import Challenge
from mngac.results.tightness import Row, rows_of

GAP = 2.3
"""Points between the labels of two lines."""


def run(context: Context) -> None:
    """Writes the table in three forms, and the figure in two."""
    params, outputs, w = context.job.params, context.outputs, context.job.wildcards
    by_dataset = {d: rows_of(params, d, w["suite"], w["profile"]) for d in params.run.datasets}
    made = tightness_table.sections(by_dataset, w["suite"], w["profile"])
    lines = tightness_table.comma_separated(by_dataset, w["suite"], w["profile"])
    printed.write(outputs, "tightness", made, lines)
    with plt.rc_context(STYLE):
        save(draw(by_dataset, params.tables.reference, w["suite"]), outputs["tightness.png"], outputs["tightness.svg"])
    context.log.line(f"{context.log.name}: {sum(map(len, by_dataset.values()))} rows")


def draw(by_dataset: dict[str, list[Row]], reference: str, suite: str) -> Figure:
    """The union of each method at first and after each round, in percent, a panel a data set."""
    figure, axes = plt.subplots(len(by_dataset), 1, figsize=(7.2, 4.4 * len(by_dataset) + 0.6), squeeze=False)
    for axis, (dataset, rows) in zip(axes[:, 0], by_dataset.items(), strict=True):
        challenged = [row for row in rows if row.challenges]
        if not challenged:
            say(axis, f"{dataset}: no union of {suite} was challenged")
            continue
        _curves(axis, challenged, reference)
        axis.set_title(dataset if len(by_dataset) > 1 else "", loc="left")
    every = [each for rows in by_dataset.values() for row in rows for each in row.challenges]
    title(figure, f"How tight the unions of {suite} are", _note(every))
    return figure


def _curves(axis: Axes, rows: list[Row], reference: str) -> None:
    looks = method_looks([row.method for row in rows], reference)
    names = ["record", *(_short(each.name) for each in rows[0].challenges[0].rounds)]
    curves = {row.method: row.curve() for row in rows}
    last = len(names) - 1
    for method, curve in curves.items():
        look = looks[method]
        axis.plot(range(len(curve)), curve, marker=look.marker, markersize=3, **look.line())
    top = max(max(curve) for curve in curves.values())
    places = apart([curve[-1] for curve in curves.values()], GAP, -2, max(top + 4, GAP * len(curves)))
    for (method, curve), place in zip(curves.items(), places, strict=True):
        axis.plot([last + 0.04, last + 0.16], [curve[-1], place], color=QUIET, lw=0.4, clip_on=False)
        axis.text(last + 0.2, place, f"{method}  {curve[0]:.1f} → {curve[-1]:.1f}", va="center", fontsize=6.5)
    axis.set_xticks(range(len(names)), names, color=INK)
    axis.set_xlim(-0.15, last + 0.05)
    axis.set_ylim(-2, max(top + 4, GAP * len(curves)))
    axis.set_ylabel("union (%)")
    axis.grid(axis="y", lw=0.4, color="#d4d4d4")


def _short(name: str) -> str:
    return name.replace(", ", "\n")


def _note(every: list[Challenge]) -> str:
    if not every:
        return "Nothing was challenged."
    seeds = sorted({each.seed for each in every})
    trained = f"training seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return (
        f"{every[0].n} {every[0].split} images; {trained}{', means over them' if len(seeds) > 1 else ''}. Each round "
        "attacks what all before it left: a flat line is a bound that trying again does not lower."
    )
