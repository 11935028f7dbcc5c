"""Decision regions in the plane of two adversarial directions, methods side by side."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from mngac.figures.style import INK, NORM_LABELS, PAPER, QUIET, empty, title
from mngac.figures.subjects import Subjects, logits_of, plane

GREYS = ("#6e6e6e", "#8c8c8c", "#a3a3a3", "#7d7d7d", "#979797")
CORRECT = "#f7f3e8"
AXES = ("linf", "l1")
"""Norms whose attacks span the plane; the second is made orthogonal to the first."""


def draw(subjects: Subjects) -> Figure:
    """Rows: test images; columns: methods. Pale: decided as the label; grey: as the class whose name stands there."""
    methods = list(subjects.classifiers)
    if not methods:
        return empty(f"None of figures.methods is in this run: {', '.join(subjects.missing)}.")
    rows = chosen(subjects)
    size = (1.75 * len(methods) + 0.9, 1.75 * len(rows) + 1.2)
    figure, axes = plt.subplots(len(rows), len(methods), figsize=(max(size[0], 4.6), size[1]), squeeze=False)
    for line, index in zip(axes, rows, strict=True):
        for axis, method in zip(line, methods, strict=True):
            _panel(axis, subjects, method, index)
        line[0].set_ylabel(f"image {index}, label {subjects.classes[int(subjects.y[index])]}", color=INK)
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(method, loc="left", fontweight="bold")
    span, radius = subjects.params.plane_span, subjects.radii["l2"]
    note = (
        f"{subjects.note} Each method's own plane: across, its {NORM_LABELS['linf']} perturbation; up, its "
        f"{NORM_LABELS['l1']} perturbation made orthogonal to it; ±{span * radius:g} in {NORM_LABELS['l2']} length, "
        f"pixels clamped to [0, 1]. Circle: the {NORM_LABELS['l2']} ball ({radius:g}); square and triangle: the "
        f"attacked images. Images that every method classifies correctly, the first {len(rows)}."
    )
    title(figure, "Decision regions around test images", note)
    return figure


def chosen(subjects: Subjects) -> list[int]:
    """The first images that every method classifies correctly; the first ones where there are too few."""
    correct = torch.stack([logits_of(c, subjects.x).argmax(1) == subjects.y for c in subjects.classifiers.values()])
    first = correct.all(0).nonzero().flatten().tolist()
    rest = [i for i in range(len(subjects.y)) if i not in first]
    return (first + rest)[: subjects.params.planes]


def _directions(x: Tensor, ends: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Orthonormal directions, first along the first perturbation; a second from the axes where they are parallel."""
    first, second = ((end - x).flatten() for end in ends)
    first = first / first.norm().clamp_min(1e-12)
    for spare in (second, torch.ones_like(second), torch.linspace(-1, 1, len(second), device=x.device)):
        rest = spare - (spare @ first) * first
        if rest.norm() > 1e-4:
            return first.view(x.shape), (rest / rest.norm()).view(x.shape)
    raise ValueError("an image of one pixel spans no plane")


def _finer(values: Tensor) -> Tensor:
    """(1, n, side, side) -> the same, four times finer, linear between the points."""
    side = 4 * (values.shape[-1] - 1) + 1
    return F.interpolate(values, (side, side), mode="bilinear", align_corners=True)


def _panel(axis: Axes, subjects: Subjects, method: str, index: int) -> None:
    x, y = subjects.x[index : index + 1], subjects.y[index : index + 1]
    ends = [subjects.attack(method, norm, x, y)[0] for norm in AXES]
    first, second = _directions(x[0], ends)
    span = subjects.params.plane_span * subjects.radii["l2"]
    steps = torch.linspace(-span, span, subjects.params.grid, device=x.device)
    logits = logits_of(subjects.classifiers[method], plane(x[0], first, second, steps, steps))
    side = len(steps)
    label = int(y[0])
    smooth = _finer(logits.T.view(1, -1, side, side))[0].cpu()
    decided = smooth.argmax(0)
    colours = torch.tensor([to_rgb(CORRECT if c == label else GREYS[c % len(GREYS)]) for c in range(logits.shape[1])])
    box = (-span, span, -span, span)
    axis.imshow(colours[decided].numpy(), origin="lower", extent=box, interpolation="nearest")
    fine = torch.linspace(-span, span, len(decided)).numpy()
    others = [c for c in range(len(smooth)) if c != label]
    for number in set(decided.unique().tolist()) - {label}:
        axis.contour(fine, fine, (decided == number).float().numpy(), [0.5], colors=PAPER, linewidths=0.7)
    margin = smooth[label] - smooth[others].amax(0)
    if margin.min() < 0 < margin.max():
        axis.contour(fine, fine, margin.numpy(), [0.0], colors=INK, linewidths=1.4)
    _names(axis, decided, fine, label, subjects.classes)
    axis.add_patch(plt.Circle((0, 0), subjects.radii["l2"], fill=False, ec=INK, lw=0.8, ls=(0, (3, 2))))
    axis.plot(0, 0, "o", color=INK, ms=3.5)
    for end, marker in zip(ends, "s^", strict=True):
        moved = end - x[0]
        at = float((moved * first).sum()), float((moved * second).sum())
        axis.plot(*at, marker, mfc=PAPER, mec=INK, ms=4.5, mew=0.9)
    axis.set(xticks=[], yticks=[], xlim=(-span, span), ylim=(-span, span))
    for spine in axis.spines.values():
        spine.set(visible=True, color=QUIET)


def _names(axis: Axes, decided: Tensor, steps: np.ndarray, label: int, classes: list[str]) -> None:
    """Each other class's name inside its region, at the cell nearest to the region's middle; small ones go unnamed."""
    for number in decided.unique().tolist():
        cells = (decided == number).nonzero()
        if number == label or len(cells) < 0.04 * decided.numel():
            continue
        middle = cells.float().mean(0)
        row, column = cells[((cells - middle) ** 2).sum(1).argmin()].tolist()
        axis.text(float(steps[column]), float(steps[row]), classes[number], color=PAPER, ha="center", va="center")
