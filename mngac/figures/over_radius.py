"""Robust accuracy over the radius, a panel a norm: a classifier that hides its gradients does not fall to zero."""

from __future__ import annotations

import csv
import io

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mngac.attacks.apgd import Problem
from mngac.evaluation.apgd_until_broken import apgd_until_broken
from mngac.figures.style import NORM_LABELS, OTHERS, QUIET, apart, method_looks, percent, title
from mngac.figures.subjects import Subjects, logits_of
from mngac.params.types import NORMS
from mngac.streams import stream_seed

Curves = dict[tuple[str, str], list[float]]
"""(method, norm) -> share in percent at each of `figures.radius_factors`."""


def measure(subjects: Subjects) -> Curves:
    """Robust accuracy at multiples of each norm's radius, of the first images."""
    return {(m, norm): _curve(subjects, m, norm) for m in subjects.classifiers for norm in NORMS}


def _curve(subjects: Subjects, method: str, norm: str) -> list[float]:
    """Images broken in a smaller ball are broken in a larger one, and are not attacked again."""
    classifier, x, y = subjects.classifiers[method], subjects.x, subjects.y
    alive: Tensor = logits_of(classifier, x).argmax(1) == y
    shares = []
    for i, factor in enumerate(subjects.params.radius_factors):
        if factor and bool(alive.any()):
            chosen = alive.nonzero().flatten()
            problem = Problem(classifier, norm, factor * subjects.radii[norm], subjects.params.steps)
            seed = stream_seed(subjects.seed, "over radius", norm, i)
            x_adv = apgd_until_broken(problem, x[chosen], y[chosen], y[None, chosen], seed)
            alive[chosen] = logits_of(classifier, x_adv).argmax(1) == y[chosen]
        shares.append(100 * alive.float().mean().item())
    return shares


def draw(subjects: Subjects, curves: Curves) -> Figure:
    """Three panels, a line a method, named at its end; the radius of the evaluation as a vertical line."""
    figure, axes = plt.subplots(1, len(NORMS), figsize=(8.4, 3.1), sharey=True)
    for axis, norm in zip(axes, NORMS, strict=True):
        _panel(axis, subjects, curves, norm)
    axes[0].set_ylabel("robust accuracy (%)")
    n, half = len(subjects.x), 98 / len(subjects.x) ** 0.5
    note = f"{subjects.note} First {n} images: 95 % intervals of up to ±{half:.0f} points. Vertical line: the radius "
    title(figure, "Robust accuracy over the radius", note + "of the evaluation. A few steps: an upper bound.")
    return figure


def _panel(axis: Axes, subjects: Subjects, curves: Curves, norm: str) -> None:
    radius = subjects.radii[norm]
    across = [f * radius for f in subjects.params.radius_factors]
    looks = method_looks(list(subjects.classifiers), subjects.reference)
    percent(axis)
    axis.axvline(radius, color=QUIET, lw=0.8)
    axis.set_xlim(0, across[-1])
    axis.set_xlabel(f"{NORM_LABELS[norm]} radius")
    # Names stand where the lines lie apart: at the right end of each panel.
    ends = apart([curves[m, norm][-1] for m in subjects.classifiers], 7.5, 2, 98)
    for method, end in zip(subjects.classifiers, ends, strict=True):
        look, values = looks[method], curves[method, norm]
        axis.plot(across, values, **look.line(), marker=look.marker, markersize=3.2, clip_on=False, zorder=3)
        axis.annotate(
            method,
            (across[-1], values[-1]),
            xytext=(across[-1] * 1.04, end),
            fontsize=7,
            va="center",
            color=look.colour if look != OTHERS[0] else QUIET,
            annotation_clip=False,
        )


def comma_separated(subjects: Subjects, curves: Curves) -> str:
    """The same numbers, a line a radius factor, a column `<method> <norm>`; for `dvc plots`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["radius_factor", *(f"{m}_{norm}" for m, norm in curves)])
    for i, factor in enumerate(subjects.params.radius_factors):
        writer.writerow([factor, *(round(values[i], 4) for values in curves.values())])
    return out.getvalue()
