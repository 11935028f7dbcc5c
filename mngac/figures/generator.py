"""Whether the noise generator learned: what training noted of it, epoch by epoch."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.figures.style import INK, RULE, Look, empty, method_looks, title
from mngac.params import Params
from mngac.training_log import read_log

PANELS = {
    "generator_meta_loss_over_gaussian": "loss after a step on its noise,\nless that on Gaussian noise (nats)",
    "generator_distance_from_start": "distance of its weights\nfrom the first ones (relative)",
    "generator_gradient_to_decay": "meta-gradient / weight decay\n(norms)",
    "generator_clamped_share": "share of its noise that the fit\nto the ball leaves no gradient",
}


def draw(params: Params) -> Figure:
    """Four diagnostics over epochs, a line a method with a generator."""
    logs = {
        f"{d} {m}" if len(params.run.datasets) > 1 else m: read_log(d, m, params.run.seeds[0])
        for d in params.run.datasets
        for m in params.run.all_methods
    }
    logs = {name: lines for name, lines in logs.items() if lines and "generator_meta_loss" in lines[-1]}
    if not logs:
        return empty("No method of this run trains a noise generator.")
    figure, axes = plt.subplots(1, len(PANELS), figsize=(8.6, 2.9))
    looks = method_looks(list(logs))
    for axis, (key, label) in zip(axes, PANELS.items(), strict=True):
        for name, lines in logs.items():
            _line(axis, lines, key, looks[name], name)
        axis.set_title(label, loc="left", fontsize=7)
        axis.grid(axis="y", lw=0.4, color=RULE)
        axis.set_xlabel("epoch")
    axes[0].axhline(0, color=INK, lw=0.6)
    axes[0].legend(fontsize=6.5, handlelength=2.5, loc="best")
    axes[1].set_ylim(bottom=0)
    axes[2].set_yscale("log")
    axes[2].axhline(1, color=INK, lw=0.6)
    axes[3].set_ylim(0, 1.02)
    verdicts = " ".join(verdict(name, lines) for name, lines in logs.items())
    note = f"{verdicts} Left: below zero, its noise helps more than random noise of the same ball. "
    title(figure, "Did the noise generator learn?", note + f"Training images; seed {params.run.seeds[0]}.")
    return figure


def _line(axis: Axes, lines: list[dict[str, Any]], key: str, look: Look, name: str) -> None:
    found = [(line["epoch"], line[key]) for line in lines if key in line]
    if found:
        axis.plot(*zip(*found, strict=True), **look.line(), label=name)


def verdict(name: str, lines: list[dict[str, Any]]) -> str:
    """One sentence from the second half of the epochs: the generator's loss over Gaussian noise's, and how sure."""
    key = "generator_meta_loss_over_gaussian"
    half = [line[key] for line in lines[len(lines) // 2 :] if key in line]
    if len(half) < 3:
        return f"{name}: too few epochs to tell."
    centre, error = mean(half), stdev(half) / len(half) ** 0.5
    word = "no different from" if abs(centre) < 2 * error else "better than" if centre < 0 else "worse than"
    return f"{name}: {word} Gaussian noise over the second half ({centre:+.5f} ± {error:.5f}, mean ± standard error)."
