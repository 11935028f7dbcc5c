"""The model card of an export: training, data, results with their intervals, limits and red flags.

It begins with the metadata that the Hugging Face Hub reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from tabulate import tabulate

from mngac.exchange.exported import WIDE_RESNET, Export
from mngac.results import red_flags, wording
from mngac.results.intervals import wilson
from mngac.results.records import Record
from mngac.results.wording import markdown

LIMITS = """\
- Robust accuracy is an upper bound: it says what these attacks at these radii did not break.
- The intervals are over images, for one training; other seeds give other classifiers.
- Nothing is claimed beyond the norms and radii of the tables, nor for other data than the split named.
"""


def red_flags_of(records: Sequence[Record]) -> list[str]:
    """Red flags of all records of a classifier, and those that show between them, each with whom it concerns."""
    flags = red_flags.collected([red_flags.Suspect(f"{r.suite}-{r.profile}", r, records) for r in records])
    return [f"{flag} ({', '.join(who)})" for flag, who in flags.items()]


def results(record: Record) -> str:
    """Clean, each norm and the union as a table: percent with Wilson's 95 % interval."""
    radii = record.radii()
    rows = []
    for column in record.columns():
        correct = record.column(column)
        low, high = wilson(sum(correct), record.n)
        rows.append(
            {
                "": column,
                "radius": radii.get(column, ""),
                "accuracy (%)": f"{record.share(column):.2f}",
                "95 % interval": f"{100 * low:.1f} to {100 * high:.1f}",
                "outputs rejected": sum(a.rejected for a in record.attacks if a.norm == column)
                if column in radii
                else "",
            }
        )
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)


def text(what: Export, info: dict[str, Any]) -> str:
    """The card in Markdown."""
    record = what.leading
    flags = red_flags_of(what.records)
    parameters = yaml.safe_dump(what.training, sort_keys=False, default_flow_style=None) if what.training else None
    fence = "`" * (1 + max(2, *map(len, re.findall("`+", parameters or "")), 0))
    title = f"{record.method} on {record.dataset} ({info['architecture']}, seed {record.seed})"
    blocks = [
        f"---\n{yaml.safe_dump(metadata(what, title), sort_keys=False)}---",
        f"# {markdown(title)}",
        "Takes float32 images in [0, 1], NCHW, without normalisation; returns logits.",
        "## Training",
        f"{fence}yaml\n{parameters}{fence}"
        if parameters
        else "The training parameters are not known: the file was not trained with this cache.",
        _cost(what),
        "## Data",
        f"{markdown(record.dataset)}, evaluated on {record.n} {markdown(record.split)} images; "
        f"{what.architecture.classes} classes, {what.architecture.channels} x {what.architecture.size} x "
        f"{what.architecture.size} pixels. "
        + (
            "The records were checked against this file on the clean images."
            if what.verified
            else "The records were not checked against this file: the data set was not at hand."
        ),
        "## Results",
    ]
    for r in what.records:
        made = markdown(f"commit {wording.made_at(r.provenance)}, {r.provenance.get('device')}")
        blocks += [f"### {markdown(f'{r.suite}, {r.profile}')} radii", results(r), f"n = {r.n}; {made}."]
    blocks += [
        "## Limits",
        LIMITS.rstrip(),
        "## Red flags",
        "\n".join(f"- {markdown(flag)}" for flag in flags) if flags else "None.",
        "## Files",
        _files(what),
    ]
    return "\n\n".join(blocks) + "\n"


def metadata(what: Export, title: str) -> dict[str, Any]:
    """What the Hugging Face Hub reads at the head of a card: task, data set, results in percent."""
    results = []
    for r in what.records:
        metrics = [
            {"type": "accuracy", "name": _named(r, column), "value": round(r.share(column), 2)}
            for column in r.columns()
        ]
        results.append(
            {
                "task": {"type": "image-classification", "name": "robust image classification"},
                "dataset": {"name": r.dataset, "type": r.dataset, "split": r.split, "args": {"images": r.n}},
                "metrics": metrics,
            }
        )
    return {
        "library_name": "mngac",
        "pipeline_tag": "image-classification",
        "tags": ["adversarial-robustness", "multiple-perturbations", *sorted({r.method for r in what.records})],
        "datasets": sorted({r.dataset for r in what.records}),
        "metrics": ["accuracy"],
        "model-index": [{"name": title, "results": results}],
    }


def _named(record: Record, column: str) -> str:
    """A column with its radius and what attacked, such as `linf 8/255 under quick`."""
    if column == "clean":
        return column
    return " ".join(filter(None, [column, record.radii().get(column), "under", record.suite]))


def _cost(what: Export) -> str:
    cost = what.cost
    known = ("epochs", "images_seen", "seconds", "device")
    if "seconds" in cost and cost["seconds"] is None:
        return "Nothing was trained here: the weights come from somebody's file."
    if any(cost.get(key) is None for key in known):
        return "What the training cost is not known."
    epochs, images, seconds, device = (cost[key] for key in known)
    start = cost.get("start")
    from_start = (
        f" Fine-tuned from a classifier of {markdown(start['method'])}, whose training is not counted." if start else ""
    )
    return f"{epochs} epochs, {images:,} images seen, {seconds:.0f} s on {markdown(device)}.{from_start}"


def _code(name: str) -> str:
    """A name between backticks, which has none itself."""
    return name.replace("`", "'")


def _files(what: Export) -> str:
    wide = WIDE_RESNET.fullmatch(what.architecture.model) is not None
    fits = wide and (what.architecture.channels, what.architecture.size) == (3, 32)
    loads = (
        "loads strictly into RobustBench's WideResNet" if wide else "not a WideResNet: RobustBench has no such model"
    )
    note = "" if fits or not wide else "; that class is made for 3 x 32 x 32 images, these are not"
    return (
        "- `classifier.safetensors`, `config.json`: weights, and what builds the model.\n"
        f"- `{_code(what.name)}.pt`: the weights under `state_dict`, with RobustBench's layer names ({loads}{note}).\n"
        "- `model_info.json`: RobustBench's fields, and norms, radii, union, n, GPU seconds.\n"
        "- `records/`: what happened to each image; `autoattack-<profile>.log`: told from them."
    )
