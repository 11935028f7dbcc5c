"""One engine in a workspace: both delete a stage's outputs before they run it, and so each other's.

DVC marks what its stages read and write in a file of its own, with the process that does; Snakemake is made to mark the
whole workspace there. Either then refuses to start beside the other, before it has deleted anything.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mngac.params.errors import UserError
from mngac.pipeline.running import FAILED, last_line

if TYPE_CHECKING:
    from mngac.pipeline.jobs import Job

MARKS = Path(".dvc/tmp")


def claim(workspace: Path, command: str) -> None:
    """Marks the workspace as this process's until it ends.

    Args:
        workspace: the folder of dvc.yaml; one that DVC does not know, without .dvc, needs no mark.
        command: what DVC then tells who would start.

    Raises:
        UserError: naming the DVC process that works there.
    """
    if not (workspace / ".dvc").is_dir():
        return
    from dvc.fs import localfs
    from dvc.lock import LockError, make_lock
    from dvc.rwlock import rwlock

    folder = workspace / MARKS
    folder.mkdir(parents=True, exist_ok=True)
    mark = rwlock(str(folder), localfs, command, read=[], write=[str(workspace)], hardlink=False)
    try:
        with make_lock(str(folder / "lock"), tmp_dir=str(folder)):  # which DVC holds between two stages
            mark.__enter__()
    except LockError as error:
        who = " ".join(dict.fromkeys(line.strip() for line in str(error).splitlines() if "(PID " in line))
        raise UserError(
            f"{workspace}: found another engine at work in it: dvc {who}; allowed: one at a time; wait for it to end, "
            "or start this one in a clone, which shares the cache"
        ) from error
    atexit.register(mark.__exit__, None, None, None)


def refuse_auto(device: str) -> None:
    """Refuses a device that each machine decides for itself, where jobs run on others than the engine's.

    Raises:
        UserError: for `auto`.
    """
    if device == "auto":
        raise UserError(
            'run.device: found "auto", which a login node and the nodes decide each for itself; '
            "allowed, where jobs run on a cluster: cpu, cuda"
        )


def left_over(jobs: Iterable[Job], since: float) -> list[str]:
    """What an engine that has failed should say at its end: a line a job that failed, and how to go on.

    Args:
        jobs: all of the run, each after those whose outputs it reads.
        since: when the engine started, in seconds since 1970.
    """
    lines, waiting, absent = [], 0, set[str]()
    for job in jobs:
        behind = not absent.isdisjoint(map(str, job.inputs.values()))  # of an older run, where its outputs are there
        if job.complete and not behind:
            continue
        absent |= set(map(str, job.outputs.values()))
        if not behind and Path(job.log).exists() and Path(job.log).stat().st_mtime >= since:
            lines.append(f"mngac: {job.stage.name} {job.name} failed: {_why(job.log)} ({job.log})")
        else:
            waiting += 1
    return [
        *lines,
        f"mngac: failed: {len(lines)}; not run: {waiting}; what is finished is kept: mend what the lines "
        "above say, and start the same command again",
    ]


def _why(log: str) -> str:
    return FAILED.sub("", last_line(log), count=1) or "nothing in its log"
