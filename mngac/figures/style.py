"""The figures' common hand: type, ink, line looks that differ in grey too, a footnote with n and seeds, files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mngac.results import wording
from mngac.results.records import Record
from mngac.results.rows import Row

INK, QUIET, RULE, PAPER = "#1a1a1a", "#6b6b6b", "#d4d4d4", "#ffffff"
NORM_LABELS = {"clean": "clean", "linf": r"$\ell_\infty$", "l1": r"$\ell_1$", "l2": r"$\ell_2$", "union": "union"}
DPI = 160
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.color": INK,
    "mathtext.fontset": "dejavusans",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "mngac",
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
}


@dataclass(frozen=True)
class Look:
    """How a line is told from others, in colour and in grey: luminance, dashes, marker."""

    colour: str
    dashes: Any
    marker: str
    width: float = 1.3

    def line(self) -> dict[str, Any]:
        """Keywords of `plot`."""
        return dict(color=self.colour, linestyle=self.dashes, linewidth=self.width)


# Colours that the colour-blind, and readers of a grey print, can tell: tests/figures/test_figures.py simulates both.
NORM_LOOKS = {
    "clean": Look("#a8a8a8", "-", "o"),
    "linf": Look("#7a0f1c", "-", "s"),
    "l1": Look("#1f5fa0", (0, (4, 1.5)), "^"),
    "l2": Look("#b87d00", (0, (1, 1)), "D"),
}
OTHERS = (
    Look("#a0a0a0", (0, (1, 1.2)), "o"),
    Look("#c2622d", (0, (5, 1.5)), "s"),
    Look("#1f5fa0", (0, (5, 1.2, 1, 1.2)), "^"),
    Look("#3d1a5c", (0, (2.5, 1)), "D"),
)


def method_looks(methods: Sequence[str], reference: str) -> dict[str, Look]:
    """A look a method: the reference in solid black, the others in the order given."""
    others = [m for m in methods if m != reference]
    looks = {m: OTHERS[i % len(OTHERS)] for i, m in enumerate(others)}
    return looks | {reference: Look("#000000", "-", "o", 1.9)}


def title(figure: Figure, text: str, note: str) -> None:
    """What is shown, above, and how it was measured (n, seeds, radii), below."""
    inches = figure.get_size_inches()[0]
    figure.suptitle(text, x=0.012, ha="left", fontsize=9.5, fontweight="bold")
    figure.supxlabel(
        _wrapped(note, round(20 * inches)), x=0.012, ha="left", fontsize=6.5, color=QUIET, linespacing=1.35
    )


def _wrapped(text: str, width: int) -> str:
    """Lines of at most `width` characters, each norm's sign counted as two."""
    signs = {label: f"\ue000{chr(0xE001 + i)}" for i, label in enumerate(NORM_LABELS.values()) if "$" in label}
    for label, short in signs.items():
        text = text.replace(label, short)
    text = textwrap.fill(" ".join(text.split()), width, break_on_hyphens=False)
    for label, short in signs.items():
        text = text.replace(short, label)
    return text


def percent(axis: Axes, ylabel: str = "") -> None:
    """An axis from 0 to 100 % with quiet rules."""
    axis.set_ylim(0, 102)
    axis.set_yticks([0, 25, 50, 75, 100])
    axis.grid(axis="y", lw=0.4, color=RULE)
    axis.set_axisbelow(True)
    axis.set_ylabel(ylabel)


def apart(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved as little as needed to lie `gap` apart within [low, high], order kept; for labels."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    moved = [positions[i] for i in order]
    gap = min(gap, (high - low) / max(len(moved) - 1, 1))
    for _ in range(200):
        for i in range(len(moved) - 1):
            short = gap - (moved[i + 1] - moved[i])
            if short > 0:
                moved[i], moved[i + 1] = moved[i] - short / 2, moved[i + 1] + short / 2
    last = len(moved) - 1
    moved = [min(max(v, low + i * gap), high - (last - i) * gap) for i, v in enumerate(moved)]
    return [moved[order.index(i)] for i in range(len(positions))]


def say(axis: Axes, text: str) -> None:
    """An empty panel that says what is missing."""
    axis.text(0.5, 0.5, textwrap.fill(text, 40), transform=axis.transAxes, ha="center", va="center", color=QUIET)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def empty(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure, axis = plt.subplots(figsize=(5, 1.6))
    say(axis, text)
    return figure


def measured(dataset: str, rows: Sequence[Row]) -> str:
    """The images and radii of a data set's records, in words; they are alike (see `results.together`)."""
    records = _records(rows)
    if not records:
        return f"{dataset}: no images"
    radii = f"radii ({wording.profiles(records)}): {wording.radii(records, NORM_LABELS)}"
    return f"{dataset}: {wording.images(records)}, {radii}, on images in [0, 1]"


def suites(rows: Sequence[Row]) -> str:
    """The suite of the records in words."""
    return wording.suites(_records(rows))


def seeds(rows: Sequence[Row]) -> str:
    """The seeds of the records in words; where a method lacks some of them, its own."""
    return wording.seeds(_records(rows))


def _records(rows: Sequence[Row]) -> list[Record]:
    return [record for row in rows for record in row.records]


def spread(rows: Sequence[Row]) -> str:
    """What the bars about a mean are: over images for one seed, over seeds for several."""
    counts = {min(len(row.records), 2) for row in rows if row.records}
    over_images, over_seeds = "95 % intervals over images", "± standard deviation over seeds"
    return (
        f"{over_seeds}, of one seed {over_images}" if counts == {1, 2} else over_seeds if 2 in counts else over_images
    )


def save(figure: Figure, png: str, svg: str) -> None:
    """Writes both files, without time or versions, so that equal figures are equal bytes; closes the figure."""
    Path(png).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, dpi=DPI, metadata={"Date": None, "Creator": None})
    plt.close(figure)
