"""A JSON file of measurements: runs of benchmarks, each with its command, settings, machine and rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from mngac.params.errors import UserError
from mngac.pipeline.atomic import write_text

SCHEMA = 1


@dataclass
class Run:
    """One run of one benchmark."""

    benchmark: str
    """The command: `train`, `loading`, ..."""
    command: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    """Whether it came to its end: a run that is broken off keeps the rows that it had."""


def read(path: Path) -> list[Run]:
    """The runs of a file.

    Raises:
        UserError: for a file of another schema.
    """
    content = json.loads(path.read_text())
    if content.get("schema") != SCHEMA:
        raise UserError(f"{path}: schema {content.get('schema')!r}; this version reads schema {SCHEMA}")
    return [Run(**run) for run in content["runs"]]


def keep(path: Path | None, benchmark: str, command: str, settings: dict[str, Any], rows: Iterable[dict]) -> Run:
    """Takes the rows as they come, each printed and kept in the file at once, after the runs that it has already."""
    before = read(path) if path and path.exists() else []
    run = Run(benchmark, command, settings, machine.facts())
    for row in rows:
        run.rows.append(row)
        # Threads are set by the benchmark; commit and date are those of the code that was started.
        run.machine["threads"] = torch.get_num_threads()
        print(json.dumps(row), flush=True)
        _write(path, [*before, run])
    run.complete = True
    _write(path, [*before, run])
    return run


def _write(path: Path | None, runs: list[Run]) -> None:
    if path:
        write_text(path, json.dumps({"schema": SCHEMA, "runs": [asdict(run) for run in runs]}, indent=1) + "\n")
