"""The stage `figures`: figures of records and training logs. Loads without torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mngac.figures import clean_and_union, components, generator, learning_curves, motivation, union_and_cost
from mngac.figures.style import STYLE, save
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import Context
from mngac.results.training_log import read_log

DRAW: dict[str, Callable[[Params], Figure]] = {
    "motivation": motivation.draw,
    "learning_curves": learning_curves.draw,
    "clean_and_union": clean_and_union.draw,
    "union_and_cost": union_and_cost.draw,
    "components": components.draw,
    "generator": generator.draw,
}


def training_curves(params: Params) -> str:
    """Validation accuracy while training, a line an epoch, a column `<dataset>_<method>_<norm>`; for `dvc plots`."""
    columns: dict[str, dict[int, float]] = {}
    for dataset in params.run.datasets:
        for method in params.run.all_methods:
            for line in read_log(dataset, method, params.run.seeds[0]):
                for name in ("clean", *NORMS):
                    column = columns.setdefault(f"{dataset}_{method}_{name}", {})
                    column[line["epoch"]] = line[f"validation_{name}"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["epoch", *columns])
    for epoch in sorted({e for column in columns.values() for e in column}):
        writer.writerow([epoch, *(column.get(epoch, "") for column in columns.values())])
    return out.getvalue()


def run(context: Context) -> None:
    """Writes every figure as PNG and SVG, and the training curves as CSV."""
    params, outputs = context.job.params, context.outputs
    write_text(outputs["training_curves.csv"], training_curves(params))
    with plt.rc_context(STYLE):
        for name, draw in DRAW.items():
            save(draw(params), outputs[f"{name}.png"], outputs[f"{name}.svg"])
    context.log.line(f"figures: {len(DRAW)} in results/figures")
