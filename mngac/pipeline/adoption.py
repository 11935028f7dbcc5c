"""Outputs that came from elsewhere, by `dvc pull` or as a copy: taken for a job's own where somebody vouches for them.

A stamp that is made beside them would be newer, and Snakemake would run every job again. So of a job without a stamp
whose outputs are there, the stamp and the outputs get times in the order of the DAG where the cache's entry of the
job's key holds these bytes, or DVC finds them and all that they depend on as its dvc.lock says.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError
from mngac.pipeline.cache import Cache, Damaged, key_of
from mngac.pipeline.jobs import Job

LOCK = Path("dvc.lock")


def write_stamps(jobs: Iterable[Job]) -> list[Job]:
    """Writes each job's stamp; the jobs whose outputs were adopted.

    Args:
        jobs: each after those whose outputs it reads.
    """
    jobs = [job for job in jobs if not job.stage.shares]  # whose stamp is that of the job whose work they share
    strange = [job for job in jobs if not job.stamp.exists() and job.complete]
    locked = _locked() if strange else set()
    adopted = []
    for job in jobs:
        if job in strange and (locked.issuperset(_outputs(job)) or _in_the_cache(job)):
            job.write_stamp(_date(job))
            adopted.append(job)
        else:
            job.write_stamp()
    return adopted


def _outputs(job: Job) -> list[str]:
    return list(job.outputs.values())


def _in_the_cache(job: Job) -> bool:
    """Whether the cache has an entry of the job's key, with the bytes that lie in the workspace."""
    with contextlib.suppress(UserError, Damaged):
        entry = Cache().find(key_of(job.key_parts()))
        return entry is not None and entry.holds(job.outputs)
    return False


def _locked() -> set[str]:
    """Outputs of the stages that DVC finds as dvc.lock says: parameters, dependencies and outputs."""
    if not LOCK.exists():
        return set()
    import yaml

    dvc = [sys.executable, "-m", "dvc", "status", "--json"]
    asked = subprocess.run(dvc, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    with contextlib.suppress(ValueError, yaml.YAMLError):
        found: dict[str, list[Any]] = json.loads(asked.stdout)
        changed = {name for name, parts in found.items() if not all(map(_is_copied, parts))}
        stages: dict[str, Any] = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
        return {out["path"] for name, stage in stages.items() if name not in changed for out in stage.get("outs", [])}
    return set()


def _is_copied(part: Any) -> bool:
    """Whether DVC finds a stage's outputs as they should be, and misses them in its own cache alone."""
    outs = part.get("changed outs") if isinstance(part, dict) else None
    return isinstance(outs, dict) and set(outs.values()) == {"not in cache"}


def _date(job: Job) -> int:
    """Makes no output older than an input; the oldest one's time, in nanoseconds since 1970."""
    inputs = max((Path(path).stat().st_mtime_ns for path in job.inputs.values()), default=0)
    for path in _outputs(job):
        if Path(path).stat().st_mtime_ns < inputs:
            os.utime(path, ns=(inputs, inputs))
    return min(Path(path).stat().st_mtime_ns for path in _outputs(job))
