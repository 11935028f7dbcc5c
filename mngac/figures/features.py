"""Penultimate features of clean and attacked images, methods side by side."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from mngac.figures.style import INK, empty, say, title
from mngac.figures.subjects import Subjects, logits_of
from mngac.params.types import NORMS

MARKERS = "os^"
FACES = ("#e3a23c", "#2b74b8", "#1f1f1f")


def last_layer(classifier: nn.Module, classes: int) -> nn.Linear | None:
    """The last Linear layer, where it gives the logits; None for a classifier of another make."""
    linear = [m for m in classifier.modules() if isinstance(m, nn.Linear)]
    return linear[-1] if linear and linear[-1].out_features == classes else None


def penultimate(classifier: nn.Module, last: nn.Linear, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the last layer is given, and its weights: features (n, width), weights (classes, width)."""
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().float()))
    with torch.no_grad():
        classifier(x)
    hook.remove()
    return seen[0], last.weight.detach().float()


def template_plane(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The plane through three classes' weight vectors (Mueller et al. 2019): origin, (width, 2) basis."""
    basis = torch.linalg.qr(torch.stack([weights[1] - weights[0], weights[2] - weights[0]], 1))[0]
    return weights[:3].mean(0), basis


def worst_of_norms(subjects: Subjects, method: str, x: Tensor, y: Tensor) -> Tensor:
    """Of images (n, channels, height, width) in [0, 1] with labels (n,): each attacked in the norm of highest loss."""
    attacked = torch.stack([subjects.attack(method, norm, x, y) for norm in NORMS])
    with torch.no_grad():
        losses = torch.stack(
            [nn.functional.cross_entropy(subjects.classifiers[method](a), y, reduction="none") for a in attacked]
        )
    return attacked[losses.argmax(0), torch.arange(len(x), device=x.device)]


def three(wanted: Sequence[int], count: int) -> list[int]:
    """The classes to show, out of `count`: those wanted, and the first ones in the place of what there is not."""
    there = [c for c in wanted if c < count]
    return [*there, *[c for c in range(count) if c not in there][: len(wanted) - len(there)]]


def draw(subjects: Subjects) -> Figure:
    """Two rows, clean and attacked; a column a method; three classes, in the plane of their weight vectors."""
    methods, classes = list(subjects.classifiers), three(subjects.params.classes, len(subjects.classes))
    if not methods or len(classes) < len(MARKERS):
        return empty(f"{subjects.dataset}: no method, or no three classes, to show features of.")
    of_three = torch.stack([subjects.y == c for c in classes]).any(0)
    x, y = subjects.x[of_three], subjects.y[of_three]
    size = (max(1.8 * len(methods) + 0.8, 4.6), 4.6)
    figure, axes = plt.subplots(2, len(methods), figsize=size, squeeze=False, sharex="col", sharey="col")
    for column, method in enumerate(methods):
        _column(list(axes[:, column]), subjects, classes, method, x, y)
        axes[0][column].set_title(method, loc="left", fontweight="bold")
    for axis, name in zip(axes[:, 0], ("clean", "attacked"), strict=True):
        axis.set_ylabel(name, color=INK)
    handles = [
        plt.Line2D([], [], ls="", marker=m, mfc=f, mec=INK, mew=0.4, ms=5, label=f"class {subjects.classes[c]}")
        for c, m, f in zip(classes, MARKERS, FACES, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=7, handletextpad=0.1)
    note = (
        f"{subjects.note} The {len(x)} images of three classes among the first {len(subjects.x)}. Inputs of the last "
        "layer, projected on the plane through the three classes' weight vectors; one scale for each method. "
        "Hollow: decided wrongly. Attacked: the ball in which the attack found the highest loss, image by image."
    )
    title(figure, "Penultimate features", note)
    return figure


def _column(
    axes: Sequence[Axes], subjects: Subjects, classes: Sequence[int], method: str, x: Tensor, y: Tensor
) -> None:
    last = last_layer(subjects.classifiers[method], len(subjects.classes))
    if last is None:
        for axis in axes:
            say(axis, "no last linear layer")
        return
    x_adv = worst_of_norms(subjects, method, x, y)
    for axis, images in zip(axes, (x, x_adv), strict=True):
        features, weights = penultimate(subjects.classifiers[method], last, images)
        correct = (logits_of(subjects.classifiers[method], images).argmax(1) == y).cpu()
        _, basis = template_plane(weights[list(classes)])
        points = (features @ basis).cpu()
        for c, marker, face in zip(classes, MARKERS, FACES, strict=True):
            of_class = (y == c).cpu()
            for shown, fill in ((correct, face), (~correct, "none")):
                across, up = points[of_class & shown].T.numpy()
                axis.scatter(across, up, s=16, marker=marker, facecolor=fill, edgecolor=face if fill == "none" else INK)
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(visible=True, color="#c4c4c4")
