"""A page of results from a folder of records: a row a method, with n, seed, radii, machine and versions beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mngac.results.intervals import wilson
from mngac.results.records import Record, read


def records_page(folder: Path, title: str, about: dict[str, Any], missing: Sequence[str] = ()) -> str:
    """The page of a work folder's records, seed 0 first; `missing` are methods without one."""
    records = [read(path) for path in sorted(folder.glob("records/*/*/seed*/*.json"))]
    lines = [f"# {title}", "", *machine(about), ""]
    if not records:
        return "\n".join([*lines, "No method is evaluated yet.", ""])
    rows = [row(record) for record in records]
    lines += [tabulate(rows, "keys", tablefmt="github", disable_numparse=True), "", *footnotes(records)]
    if missing:
        lines += ["", f"Not evaluated yet: {', '.join(missing)}."]
    return "\n".join([*lines, ""])


def row(record: Record) -> dict[str, str]:
    """A method's shares in percent with their 95 % interval, and what its training took."""
    training = record.timing.get("training", {})
    cells = {"method": record.method, "seed": str(record.seed), "n": str(record.n)}
    for name in record.columns():
        low, high = wilson(sum(record.column(name)), record.n)
        cells[name] = f"{record.share(name):.1f} ({100 * low:.1f} to {100 * high:.1f})"
    cells["epochs"] = str(training.get("epochs", ""))
    cells["training (s)"] = f"{training['seconds']:,.0f}" if training.get("seconds") else ""
    cells["images/s"] = f"{training['images_per_second']:,.0f}" if training.get("images_per_second") else ""
    cells["red flags"] = str(len(record.flags))
    return cells


def machine(about: dict[str, Any]) -> list[str]:
    """Lines on where it was measured."""
    card = f"{about['gpu']} ({about['gpu_memory_gb']} GB, CUDA {about['cuda']}), " if "gpu" in about else ""
    return [
        f"Measured on {card}{about['cpu']}, {about['cores']} cores; torch {about['torch']}, Python {about['python']}, "
        f"commit {about['commit']}, {about['date']} UTC."
    ]


def footnotes(records: list[Record]) -> list[str]:
    """Suite, radii, model and flags, once each."""
    first = records[0]
    radii = ", ".join(f"{norm} {radius}" for norm, radius in first.radii().items())
    model = first.timing.get("training", {}).get("model", "")
    lines = [
        f"Accuracies in percent with 95 % intervals (Wilson); suite `{first.suite}`, radii {radii} ({first.profile}), "
        f"the first {first.n} images of {first.split}; model {model}."
    ]
    flags = [f"- {record.method}: {flag}" for record in records for flag in record.flags]
    return [*lines, *(["", "Red flags:", "", *flags] if flags else [])]
