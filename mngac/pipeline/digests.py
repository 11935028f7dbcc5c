"""Small files, one a job, with the digests of what it made: what DVC watches in place of whole folders (decision 27).

A stage that reads files of many jobs depends on a folder of these, which holds those of the run's jobs and no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mngac.pipeline.atomic import write_text
from mngac.pipeline.fingerprint import file_digest
from mngac.pipeline.paths import DIGESTS

if TYPE_CHECKING:
    from mngac.pipeline.stages import Stage

Told = Mapping[str, Mapping[str, str]]
"""By path of such a file: the outputs that it tells of, names and paths."""


def told_of(stage: Stage, wildcards: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The files of a job, by its outputs' names and paths."""
    return {path: {name: outputs[name] for name in names} for path, names in stage.digests(wildcards).items()}


def write(told: Told, digests: Mapping[str, str]) -> None:
    """Writes a job's files.

    Args:
        told: the job's.
        digests: of its outputs, by their names.
    """
    for path, outputs in told.items():
        content = {where: digests[name] for name, where in outputs.items()}
        write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def agree(of_run: Iterable[Told]) -> None:
    """Clears away the files of jobs that the run does not have, and writes what is missing where outputs are there.

    Args:
        of_run: of all jobs of the run.
    """
    named = {path: outputs for told in of_run for path, outputs in told.items()}
    for left in DIGESTS.rglob("*.json"):
        if str(left) not in named:
            left.unlink(missing_ok=True)
    for path, outputs in named.items():
        if not Path(path).exists() and all(Path(output).exists() for output in outputs.values()):
            write({path: outputs}, {name: file_digest(output) for name, output in outputs.items()})
