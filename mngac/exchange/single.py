"""`mngac evaluate --images 0:16`: a few images of an evaluation, one by one, to be looked at. Writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from tabulate import tabulate

from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.evaluation.loop import Evaluation, evaluate
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.subject import subject
from mngac.exchange.files import FileJob
from mngac.params.errors import ParamsError, shown
from mngac.params.types import number
from mngac.pipeline.jobs import Job, not_made

SPAN = re.compile(r"(\d{1,9}):(\d{1,9})")


def text(job: Job, span: str) -> str:
    """A row an image: its index in the split, its class, what is predicted, and what broke it in each norm.

    The attacks' outcomes of a few images are those of the whole evaluation but for rounding, where the suite's attacks
    draw for each image by itself, as `quick` does.

    Args:
        job: an evaluation, of the DAG or of a file, its device decided.
        span: `first:last`, positions in the split from 0, the last one not included.

    Raises:
        ParamsError: for another form, or images that the evaluation does not have.
    """
    for name, path in job.inputs.items():
        if name not in job.stage.notes and not Path(path).exists():
            raise not_made(path)
    device = job.params.run.device
    given = subject(job, device, job.opened if isinstance(job, FileJob) else None)
    first, last = _bounds(span, len(given.labels))
    x, y, index = given.images[first:last], given.labels[first:last], given.index[first:last]
    found = evaluate(given.classifier, x, y, given.suite, given.radii, device=device)
    with torch.no_grad(), reproducible(tensor_float32=False):
        parts = [given.classifier(to_unit(part.to(device))).argmax(1) for part in x.split(given.suite.batch_size)]
    predicted = torch.cat(parts).tolist()
    classes = store.load(job.inputs["data"], verify=False).classes
    heads = ["image", "class", "predicted", *(f"{n} {_radius(given.radii, n)}" for n in found.norms()), "union"]
    rows = [
        [index[i], classes[y[i]], classes[predicted[i]], *(_fate(found, n, i) for n in found.norms()), _held(found, i)]
        for i in range(len(y))
    ]
    return tabulate(rows, headers=heads, disable_numparse=True) + "\n"


def _bounds(span: str, n: int) -> tuple[int, int]:
    match = SPAN.fullmatch(span)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not first < last <= n:
        raise ParamsError(f"--images: found {shown(span)}; allowed: first:last, such as 0:16, of 0 to {n}")
    return first, last


def _radius(radii: object, norm: str) -> str:
    return f"{number(getattr(radii, norm)):.3g}"


def _fate(found: Evaluation, norm: str, i: int) -> str:
    """What broke an image in a norm, or that it holds."""
    if found.clean[i] == "0":
        return "wrong"
    by = next((attack.name for attack in found.attacks if attack.norm == norm and attack.correct[i] == "0"), None)
    return by.removeprefix("batched_") if by else "holds"


def _held(found: Evaluation, i: int) -> str:
    return "wrong" if found.clean[i] == "0" else "holds" if found.union()[i] else "broken"
