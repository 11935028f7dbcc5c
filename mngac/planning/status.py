"""`mngac status`: what of a run is there, who works on what, what failed, and what to run next; 100 columns at most."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tabulate import tabulate

from mngac.params.sections import Params
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import Job, jobs
from mngac.pipeline.lease import SILENT, Holder, Look
from mngac.pipeline.running import FAILED, STOPPED, last_line
from mngac.planning.states import Chain, State, states
from mngac.results.printed import wrapped
from mngac.results.records import read


class Standing(StrEnum):
    """Where a job stands."""

    DONE = "done"
    CACHED = "in the cache"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"
    WAITING = "to make"


@dataclass(frozen=True)
class Stood:
    """A job, where it stands, and what there is to say of it."""

    job: Job
    standing: Standing
    said: str = ""


def status(params: Params, cache: Cache) -> list[Stood]:
    """Each job of a run, after those whose outputs it reads."""
    chain = Chain(cache)
    return [_stood(job, chain) for job in jobs(params) if not job.stage.shares]


def outdated(params: Params, cache: Cache) -> list[str]:
    """Records of the run's paths that were made with other parameters, code or inputs than the run has now, by name.

    Of those alone that the cache has, too: of a record from elsewhere nobody can say what its key would be here.
    """
    names = []
    for found in states(jobs(params), cache):
        path = found.job.outputs.get("record", "")
        if found.job.stage.name != "evaluate" or found.state is State.UNKNOWN or not Path(path).exists():
            continue
        record = read(path)
        key = record.provenance.get("key", "")
        if key and (found.entry is None or found.entry.key != key) and cache.find(key):
            names.append(record.name)
    return names


def _stood(job: Job, chain: Chain) -> Stood:
    found = chain.foretell(job)
    if found.state is State.HIT:
        there = job.complete and (found.entry is None or found.entry.holds(job.outputs))
        return Stood(job, Standing.DONE if there else Standing.CACHED)
    parts = chain.parts.get((job.stage.name, job.name))
    holder = _at_work(chain.cache.leases / f"{key_of(parts)}.json") if parts else None
    last = last_line(job.log)
    if holder:
        return Stood(job, Standing.RUNNING, f"{holder}; {last}")
    failed = FAILED.match(last)
    if failed:
        mended = parts and failed["key"] and not key_of(parts).startswith(failed["key"])
        return Stood(job, Standing.WAITING if mended else Standing.FAILED, f"{last[failed.end() :]} ({job.log})")
    if STOPPED.search(last):
        return Stood(job, Standing.STOPPED, last)
    return Stood(job, Standing.WAITING)


def _at_work(lease: Path) -> Holder | None:
    """Who holds a lease, and lives: on this host by its process, elsewhere by having touched the file lately."""
    look = Look.at(lease)
    holder = look.holder
    if holder is None or look.touched is None:
        return None
    silent = time.time() - look.touched / 1e9 > SILENT
    dead = holder.process.dead if holder.process.ours else silent
    return None if dead else holder


def text(found: Sequence[Stood]) -> str:
    """The page: a table of stages, the jobs that there is something to say of, and what comes next."""
    stages: dict[str, Counter[Standing]] = {}
    for each in found:
        stages.setdefault(each.job.stage.name, Counter())[each.standing] += 1
    shown = [standing for standing in Standing if any(count[standing] for count in stages.values())]
    lines = [[name, *(count[standing] or "" for standing in shown)] for name, count in stages.items()]
    every = sum(stages.values(), Counter())
    lines.append(["all", *(every[standing] for standing in shown)])
    blocks = [tabulate(lines, headers=["stage", *shown], numalign="right")]
    for standing in (Standing.RUNNING, Standing.FAILED, Standing.STOPPED):
        told = [f"{each.job.stage.name} {each.job.name}: {each.said}" for each in found if each.standing is standing]
        if told:
            blocks.append("\n".join([f"{standing}:", *(wrapped(line, "  ", "    ") for line in told)]))
    return "\n\n".join([*blocks, _next(every)]) + "\n"


def _next(every: Counter[Standing]) -> str:
    if every[Standing.DONE] == every.total():
        return "all of it is there: results/tables, results/figures, results/report.html"
    if every[Standing.RUNNING]:
        what = "it is at work"
    elif every[Standing.FAILED]:
        what = "next: mend what failed, then: snakemake --cores all, or: dvc repro"
    else:
        what = "next: snakemake --cores all, or: dvc repro"
    return f"{what}; what there is in tables: mngac tables --partial"
