"""Loss landscapes per norm: the loss over one adversarial and one random direction of the norm."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor
from torch.nn import functional as F

from mngac.figures.style import INK, NORM_LABELS, PAPER, QUIET, empty, title
from mngac.figures.subjects import Subjects, logits_of, plane
from mngac.norms import LP
from mngac.params.types import NORMS
from mngac.streams import stream

LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Nats, doubling: bands of cross-entropy; what lies above takes the last band's grey."""


def surface(subjects: Subjects, method: str, norm: str) -> Tensor:
    """Cross-entropy in nats, mean over the images: (rows, columns) over b and a in [-1, 1] radii, on the CPU.

    a goes along the image's own attack, b along a random point of the ball, scaled to its surface.
    """
    count, side = subjects.params.surface_images, subjects.params.surface_grid
    x, y = subjects.x[:count], subjects.y[:count]
    first = subjects.attack(method, norm, x, y) - x
    lp, radius = LP[norm], subjects.radii[norm]
    second = lp.start(x, radius, stream(subjects.seed, "landscape", norm, device=subjects.device))
    second = second * (radius / lp.size(second).clamp_min(1e-12)).view(-1, 1, 1, 1)
    steps = torch.linspace(-1, 1, side, device=x.device)
    total = torch.zeros(side * side, device=x.device)
    for image, label, across, up in zip(x, y, first, second, strict=True):
        logits = logits_of(subjects.classifiers[method], plane(image, across, up, steps, steps))
        total += F.cross_entropy(logits, label.expand(side * side), reduction="none")
    return (total / len(x)).view(side, side).cpu()


def draw(subjects: Subjects) -> Figure:
    """Rows: norms; columns: methods; one scale of grey for all, contour lines where the loss doubles."""
    methods = list(subjects.classifiers)
    if not methods:
        return empty(f"None of figures.methods is in this run: {', '.join(subjects.missing)}.")
    size = (max(1.7 * len(methods) + 1.3, 4.8), 1.7 * len(NORMS) + 1.2)
    figure, axes = plt.subplots(len(NORMS), len(methods), figsize=size, squeeze=False, sharex=True, sharey=True)
    shades = ListedColormap([str(0.97 - 0.85 * i / (len(LEVELS) - 1)) for i in range(len(LEVELS))])
    bands = BoundaryNorm(LEVELS, shades.N, extend="max")
    for line, norm in zip(axes, NORMS, strict=True):
        for axis, method in zip(line, methods, strict=True):
            image = _panel(axis, surface(subjects, method, norm), shades, bands)
        line[0].set_ylabel(f"{NORM_LABELS[norm]} ball\nrandom direction", color=INK)
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(method, loc="left", fontweight="bold")
    axes[-1][0].set_xlabel("attack direction (radii)")
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=22, pad=0.02, ticks=LEVELS, format="%g", extend="max")
    bar.set_label("cross-entropy (nats)", fontsize=7)
    bar.ax.tick_params(labelsize=6.5, length=0)
    bar.outline.set_visible(False)
    n = min(subjects.params.surface_images, len(subjects.x))
    note = (
        f"{subjects.note} Mean over the first {n} images. Dot: the clean image; triangle: the attacked one. Each "
        "direction has the length of the radius in its norm; pixels clamped to [0, 1]."
    )
    title(figure, "Loss landscapes", note)
    return figure


def _panel(axis: Axes, values: Tensor, shades: ListedColormap, bands: BoundaryNorm) -> AxesImage:
    box = (-1, 1, -1, 1)
    side = 6 * (len(values) - 1) + 1
    values = F.interpolate(values[None, None], (side, side), mode="bilinear", align_corners=True)[0, 0]
    image = axis.imshow(values.numpy(), cmap=shades, norm=bands, origin="lower", extent=box, interpolation="nearest")
    across = torch.linspace(-1, 1, values.shape[1])
    inside = [level for level in LEVELS[1:] if values.min() < level < values.max()]
    if inside:
        axis.contour(across.numpy(), across.numpy(), values.numpy(), inside, colors=INK, linewidths=0.5)
    axis.plot(0, 0, "o", mfc=PAPER, mec=INK, ms=4)
    axis.plot(1, 0, "<", mfc=PAPER, mec=INK, ms=5, clip_on=False)
    axis.text(0.04, 0.05, f"highest {values.max():.2g}", transform=axis.transAxes, fontsize=6, **_boxed())
    for ticks in (axis.set_xticks, axis.set_yticks):
        ticks([-1, 0, 1], ["-1", "0", "1"])
    for spine in axis.spines.values():
        spine.set(visible=True, color=QUIET)
    return image


def _boxed() -> dict[str, Any]:
    return {"bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 1.2, "alpha": 0.85}}
