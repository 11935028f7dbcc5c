"""Images, their perturbations in each ball, and the generator's noise beside Gaussian noise in the same ball."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mngac.figures.style import INK, NORM_LABELS, QUIET, empty, say, title
from mngac.figures.subjects import Subjects, load_generator, logits_of
from mngac.models.noise_generator import NoiseGenerator
from mngac.norms import LP
from mngac.params.types import NORMS
from mngac.streams import stream

GROUPS = ("attack", "generator's noise", "Gaussian noise")


def draw(subjects: Subjects) -> Figure:
    """Rows: images; columns: the image, then attack, generator's noise and Gaussian noise in each norm's ball."""
    generators = {m: load_generator(subjects.dataset, m, subjects.seed, subjects.device) for m in subjects.classifiers}
    with_generator = [m for m, generator in generators.items() if generator is not None]
    if not generators:
        return empty(f"None of figures.methods is in this run: {', '.join(subjects.missing)}.")
    method = with_generator[0] if with_generator else list(generators)[-1]
    count = min(subjects.params.panel_images, len(subjects.x))
    columns = 1 + len(GROUPS) * len(NORMS)
    figure, axes = plt.subplots(
        count, columns, figsize=(8.8, 0.88 * count + 1.35), squeeze=False, width_ratios=[1.25] + [1] * (columns - 1)
    )
    x, y = subjects.x[:count], subjects.y[:count]
    for axis, image, label in zip(axes[:, 0], x, y, strict=True):
        _show(axis, image, f"{subjects.classes[int(label)]}")
    for i, norm in enumerate(NORMS):
        moved = _moved(subjects, method, generators[method], norm, x, y)
        for j, (group, images) in enumerate(moved.items()):
            column = 1 + j * len(NORMS) + i
            axes[0][column].set_title(
                f"{group}\n{NORM_LABELS[norm]}" if i == 0 else f"\n{NORM_LABELS[norm]}", loc="left"
            )
            _column(list(axes[:, column]), subjects, method, x, y, images)
    axes[0][0].set_title("image,\nlabel", loc="left")
    none = "" if with_generator else " No method drawn here has a generator."
    note = (
        f"{subjects.note} Classifier and generator: {method}.{none} Perturbations x_adv - x: mid grey is zero, each "
        "scaled by its own largest pixel. Below: the class decided after it, marked * where it is not the label."
    )
    title(figure, "Images, their perturbations, and the generator's noise", note)
    return figure


def _moved(
    subjects: Subjects, method: str, generator: NoiseGenerator | None, norm: str, x: Tensor, y: Tensor
) -> dict[str, Tensor | None]:
    """Group -> images moved within the norm's ball (n, channels, height, width); None without a generator."""
    lp, radius = LP[norm], subjects.radii[norm]
    draw = stream(subjects.seed, "panel", norm, device=subjects.device)
    gaussian = torch.randn(x.shape, device=x.device, generator=draw)
    noise = None
    if generator is not None:
        with torch.no_grad():
            noise = lp.add_noise(x, generator(x, generator.draw(x, draw)), radius)
    moved = (subjects.attack(method, norm, x, y), noise, lp.add_noise(x, gaussian, radius))
    return dict(zip(GROUPS, moved, strict=True))


def _column(axes: Sequence[Axes], subjects: Subjects, method: str, x: Tensor, y: Tensor, images: Tensor | None) -> None:
    if images is None:
        for axis in axes:
            say(axis, "none")
        return
    decided = logits_of(subjects.classifiers[method], images).argmax(1)
    for axis, clean, image, label, predicted in zip(axes, x, images, y, decided, strict=True):
        delta = image - clean
        star = "" if predicted == label else "*"
        _show(axis, 0.5 + delta / (2 * delta.abs().max().clamp_min(1e-6)), subjects.classes[int(predicted)] + star)


def _show(axis: Axes, image: Tensor, text: str) -> None:
    """One image (channels, height, width) in [0, 1], grey or colour, with a line under it."""
    pixels = image.detach().cpu().permute(1, 2, 0).numpy()
    grey = pixels.shape[2] == 1
    axis.imshow(pixels[..., 0] if grey else pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.set_xlabel(text, fontsize=7, color=INK, labelpad=1.5, fontweight="bold" if text.endswith("*") else "normal")
    for spine in axis.spines.values():
        spine.set(visible=True, color=QUIET, linewidth=0.4)
