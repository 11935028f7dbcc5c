"""Which jobs the cache answers: keys chained through the DAG, so that nothing needs to lie in the workspace.

What a hit gives has the digests that its entry states; what comes after a job that must be made, must be made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mngac.params.errors import UserError
from mngac.pipeline.cache import Cache, Entry, key_of
from mngac.pipeline.fingerprint import file_digest
from mngac.pipeline.jobs import Job


class State(StrEnum):
    """hit: the cache has it; to make: it will be computed; unknown: its key cannot be known here."""

    HIT = "hit"
    TO_MAKE = "to make"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Foretold:
    """A job, and what the cache says of it."""

    job: Job
    state: State
    entry: Entry | None = None
    why: str = ""
    """What keeps its key unknown."""


class Chain:
    """Asks the cache job after job, each after those whose outputs it reads."""

    def __init__(self, cache: Cache):
        self.cache = cache
        self.made: dict[str, Foretold] = {}
        """By path: the job that makes it."""
        self.digests: dict[str, str] = {}
        """By path: of what hits give."""

    def foretell(self, job: Job) -> Foretold:
        """What the cache says of a job."""
        found = self._asked(job)
        for name, path in job.outputs.items():
            self.made[path] = found
            if found.entry:
                self.digests[path] = found.entry.about["outputs"][name]
        return found

    def _asked(self, job: Job) -> Foretold:
        read = {name: path for name, path in job.inputs.items() if name not in job.stage.notes}
        for before in (self.made[path] for path in read.values() if path in self.made):
            if before.state is not State.HIT:
                return Foretold(job, before.state, why=before.why)
        try:
            inputs = {name: self.digests[path] if path in self.made else _of_file(path) for name, path in read.items()}
            entry = self.cache.find(key_of({**job.here.stated(), "inputs": inputs}))
        except UserError as error:
            return Foretold(job, State.UNKNOWN, why=str(error))
        if entry is None or entry.about["outputs"].keys() != job.outputs.keys():
            return Foretold(job, State.TO_MAKE)
        return Foretold(job, State.HIT, entry)


def _of_file(path: str) -> str:
    """The digest of a file that no job of the run makes.

    Raises:
        UserError: where it is not there.
    """
    if not Path(path).exists():
        raise UserError(f"{path}: not found, and no job of the run makes it")
    return file_digest(path)


def states(jobs: Iterable[Job], cache: Cache) -> list[Foretold]:
    """What the cache says of each job, in their order: each after those whose outputs it reads."""
    chain = Chain(cache)
    return [chain.foretell(job) for job in jobs]
