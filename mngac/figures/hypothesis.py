"""Differences of unions between pairs of methods, seed by seed, with their intervals and the margin.

The stage `hypothesis`: its table and its figure. Loads without torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, NORM_LABELS, PAPER, QUIET, RULE, STYLE, save, say, title
from mngac.pipeline.jobs import Context
from mngac.results import printed, wording
from mngac.results.hypothesis import Findings, Tested, found
from mngac.results.hypothesis_table import comma_separated, section, tests

MARGIN, SEED = "#e7edf3", "#7d97b0"
"""Colours of what counts as no difference, and of a seed's mark."""


def run(context: Context) -> None:
    """Writes the table in three forms and the figure in two."""
    params, name, outputs = context.job.params, context.job.wildcards["hypothesis"], context.outputs
    measured = [found(params, dataset, name) for dataset in params.run.datasets]
    made = [section(each, name) for each in measured]
    printed.write(outputs, "hypothesis", made, comma_separated(measured, name))
    with plt.rc_context(STYLE):
        save(draw(measured), outputs["hypothesis.png"], outputs["hypothesis.svg"])
    verdicts = "; ".join(f"{t.pair.method} - {t.pair.against}: {t.verdict}" for each in measured for t in each.pairs)
    context.log.line(f"hypothesis {name}: {verdicts}")


def draw(measured: Sequence[Findings]) -> Figure:
    """A panel a data set, a row a pair."""
    heights = [0.55 + 0.5 * len(each.pairs) for each in measured]
    figure, axes = plt.subplots(
        len(measured), 1, figsize=(6.6, 0.9 + sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, each in zip(axes[:, 0], measured, strict=True):
        _panel(axis, each)
    title(figure, "Differences of unions, paired by training seed", _note(measured))
    return figure


def _note(measured: Sequence[Findings]) -> str:
    records = [record for each in measured for record in each.records]
    where = "; ".join(
        f"{each.dataset}: {wording.images(each.records)}, radii {wording.radii(each.records, NORM_LABELS)}"
        for each in measured
    )
    margin = measured[0].hypothesis.equivalence
    shade = "" if margin is None else f" Shaded: ±{margin:g}, where the thick line must lie to call it no difference."
    return (
        f"Under {wording.suites(records)}; {where}, on images in [0, 1]; {wording.seeds(records)}. Dots: one training "
        f"seed each. Diamond: mean; thick line 90 %, thin line 95 % interval ({tests(measured)}).{shade}"
    )


def _panel(axis: Axes, each: Findings) -> None:
    if not any(tested.columns for tested in each.pairs):
        say(axis, f"{each.dataset}: no seed that both of a pair have")
        return
    margin = each.hypothesis.equivalence
    if margin is not None:
        axis.axvspan(-margin, margin, color=MARGIN, lw=0, zorder=0)
    axis.axvline(0, color=QUIET, lw=0.8, zorder=1)
    for i, tested in enumerate(each.pairs):
        if tested.columns:
            _row(axis, i, tested)
    axis.set_ylim(len(each.pairs) - 0.5, -0.5)
    labels = [f"{t.pair.method}\n- {t.pair.against}" for t in each.pairs]
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.grid(axis="x", lw=0.4, color=RULE)
    axis.set_axisbelow(True)
    axis.set_xlabel(f"{each.dataset}: difference of the union (points)")
    axis.spines["left"].set_visible(False)


def _row(axis: Axes, i: int, tested: Tested) -> None:
    """A pair's seeds above, its mean with both intervals below them, its verdict at the right."""
    union = tested.columns["union"]
    axis.plot(tested.by_seed, _stacked(tested.by_seed, i), "o", color=SEED, ms=2.6, mew=0, alpha=0.8, zorder=2)
    for low, high, width in ((union.low, union.high, 0.9), (union.inner_low, union.inner_high, 2.6)):
        if low is not None and high is not None:
            axis.plot([low, high], [i + 0.2] * 2, color=INK, lw=width, solid_capstyle="butt", zorder=3)
    axis.plot([union.centre], [i + 0.2], "D", color=INK, markerfacecolor=PAPER, ms=4, mew=1, zorder=4)
    axis.annotate(
        tested.verdict, (1, i), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        fontsize=7, va="center", color=INK, annotation_clip=False,
    )  # fmt: skip


def _stacked(values: Sequence[float], row: int) -> list[float]:
    """Heights of a row's dots: those that lie close to each other one above the other, as high as the row has room."""
    places = [round(4 * value) for value in values]
    step = min(0.045, 0.5 / max(Counter(places).values()))
    return [row + 0.05 - step * places[:k].count(place) for k, place in enumerate(places)]
