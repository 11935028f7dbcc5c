"""The stage `model_figures`: figures of one data set that need passes through classifiers."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from mngac.figures import decision_boundary, features, loss_landscape, over_radius, perturbations
from mngac.figures.style import STYLE, save
from mngac.figures.subjects import Subjects, load
from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import Context

DRAW: dict[str, Callable[[Subjects], Figure]] = {
    "decision_boundary": decision_boundary.draw,
    "features": features.draw,
    "loss_landscape": loss_landscape.draw,
    "perturbations": perturbations.draw,
}


def run(context: Context) -> None:
    """Writes the figures of one data set as PNG and SVG, and robust accuracy over radius as CSV."""
    params, outputs = context.job.params, context.outputs
    dataset = context.job.wildcards["dataset"]
    torch.set_num_threads(params.run.threads)
    subjects = load(params, dataset, context.device)
    curves = over_radius.measure(subjects)
    write_text(outputs["over_radius.csv"], over_radius.comma_separated(subjects, curves))
    with plt.rc_context(STYLE):
        save(over_radius.draw(subjects, curves), outputs["over_radius.png"], outputs["over_radius.svg"])
        for name, draw in DRAW.items():
            save(draw(subjects), outputs[f"{name}.png"], outputs[f"{name}.svg"])
            context.log.line(f"{dataset}: {name}")
