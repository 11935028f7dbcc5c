"""Whether the noise generator learned: what training noted of it, epoch by epoch and norm by norm."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, NORM_LABELS, NORM_LOOKS, OTHERS, RULE, Look, empty, title
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results.training_log import read_log

Lines = Sequence[dict[str, Any]]
VIEWS = {
    "generator_over_gaussian": ("the generator's noise", Look("#000000", "-", "o", 1.7)),
    "generator_fgsm_over_gaussian": ("one steepest-ascent step", OTHERS[1]),
    "generator_x_adv_over_gaussian": ("the attacked image itself", OTHERS[2]),
}
"""Views whose meta loss is compared with Gaussian noise's: key of the log, name, look."""
BY_NORM = {
    "generator_gradient_to_decay": "meta-gradient / weight decay\n(norms)",
    "generator_clamped_share": "share of its noise that the\nball leaves no gradient",
}
COLUMNS = 3


def draw(params: Params) -> Figure:
    """Two rows a method with a generator: the meta loss in each norm; angle, gradient and clamped share."""
    logs = {
        f"{d} {m}" if len(params.run.datasets) > 1 else m: read_log(d, m, params.run.seeds[0])
        for d in params.run.datasets
        for m in params.run.all_methods
    }
    logs = {name: lines for name, lines in logs.items() if lines and "generator_angle" in lines[-1]}
    if not logs:
        return empty("No method of this run trains a noise generator.")
    rows = 2 * len(logs)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(8.6, 2.15 * rows + 0.9), squeeze=False)
    for i, (name, lines) in enumerate(logs.items()):
        _worth(list(axes[2 * i]), lines, name)
        _state(list(axes[2 * i + 1]), lines)
        for axis in (*axes[2 * i], *axes[2 * i + 1]):
            axis.grid(axis="y", lw=0.4, color=RULE)
            axis.set_xlim(0, lines[-1]["epoch"] + 0.5)
            axis.xaxis.get_major_locator().set_params(integer=True)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
    verdicts = " ".join(verdict(name, lines) for name, lines in logs.items())
    note = (
        f"{verdicts} Meta loss: of the attacked images after a virtual step of the classifier on a view of them; "
        f"below zero, the view helps more than Gaussian noise in the same ball. Noted on every eighth step of "
        f"each norm; training images; seed {params.run.seeds[0]}."
    )
    title(figure, "Did the noise generator learn?", note)
    return figure


def points(lines: Lines, key: str) -> tuple[list[int], list[float]]:
    """Epochs in which something was noted under the key, and what."""
    noted = [(line["epoch"], line[key]) for line in lines if key in line]
    return [epoch for epoch, _ in noted], [value for _, value in noted]


def _worth(axes: Sequence[Axes], lines: Lines, name: str) -> None:
    """The meta loss of each view less Gaussian noise's, a panel a norm, on one scale."""
    for axis, norm in zip(axes, NORMS, strict=True):
        for key, (label, look) in VIEWS.items():
            epochs, values = points(lines, f"{key}_{norm}")
            axis.plot(epochs, values, **look.line(), marker=look.marker, markersize=2.6, label=label)
        axis.axhline(0, color=INK, lw=0.6)
        axis.set_title(f"{NORM_LABELS[norm]}: meta loss less that of\nGaussian noise (nats)", loc="left", fontsize=7)
        axis.sharey(axes[0])
        axis.tick_params(labelleft=axis is axes[0])
    axes[0].set_ylabel(name, color=INK, fontweight="bold")
    axes[-1].legend(fontsize=6.5, handlelength=2.5, loc="lower right")


def _state(axes: Sequence[Axes], lines: Lines) -> None:
    """The angle of the weights; gradient to decay and clamped share, a line a norm."""
    axes[0].plot(*points(lines, "generator_angle"), color=INK, lw=1.5)
    axes[0].set_title("angle of its weights to the first ones\n(degrees)", loc="left", fontsize=7)
    axes[0].set_ylim(bottom=0)
    for axis, (key, label) in zip(axes[1:], BY_NORM.items(), strict=True):
        for norm in NORMS:
            look = NORM_LOOKS[norm]
            noted = points(lines, f"{key}_{norm}")
            axis.plot(*noted, **look.line(), marker=look.marker, markersize=2.6, label=NORM_LABELS[norm])
        axis.set_title(label, loc="left", fontsize=7)
    axes[1].set_yscale("log", nonpositive="mask")
    axes[1].axhline(1, color=INK, lw=0.6)
    axes[2].set_ylim(0, 1.02)
    axes[2].legend(fontsize=6.5, handlelength=2.5, loc="center right")


def second_half(lines: Lines, key: str) -> tuple[float, float] | None:
    """Mean over norms, each with equal weight, of what was noted in the second half of the epochs; standard error.

    None where a norm has fewer than three numbers there, or none has any.
    """
    late = lines[len(lines) // 2 :]
    by_norm = [values for norm in NORMS if (values := points(late, f"{key}_{norm}")[1])]
    if not by_norm or min(map(len, by_norm)) < 3:
        return None
    error = sum(stdev(values) ** 2 / len(values) for values in by_norm) ** 0.5 / len(by_norm)
    return fmean(fmean(values) for values in by_norm), error


def verdict(name: str, lines: Lines) -> str:
    """The generator's meta loss over Gaussian noise's in the second half of the epochs, how sure, and what was open."""
    late = second_half(lines, "generator_over_gaussian")
    if late is None:
        return f"{name}: too few epochs to tell."
    centre, error = late
    word = "no different from" if abs(centre) < 2 * error else "better than" if centre < 0 else "worse than"
    open_to = second_half(lines, "generator_fgsm_over_gaussian")
    reached = f"; one steepest-ascent step reaches {open_to[0]:+.5f}" if open_to else ""
    return (
        f"{name}: {word} Gaussian noise over the second half of the epochs "
        f"({centre:+.5f} ± {error:.5f} nats, mean over norms ± standard error{reached})."
    )
