"""Which jobs the cache answers: keys chained through the DAG, so that nothing needs to lie in the workspace.

What a hit gives has the digests that its entry states; what comes after a job that must be made, must be made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError
from mngac.pipeline.blocks import Blocks, images_of
from mngac.pipeline.cache import Cache, Entry, key_of
from mngac.pipeline.jobs import Job, digest_of_input


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
        self.known: dict[tuple[str, str], Foretold] = {}
        """By stage and name: what the cache said so far."""
        self.parts: dict[tuple[str, str], dict[str, Any]] = {}
        """By stage and name: of keys, where all inputs are known."""
        self.digests: dict[str, str] = {}
        """By path: of what hits give."""

    def foretell(self, asked: Job) -> Foretold:
        """What the cache says of a job."""
        found = self._asked(asked)
        for name, path in asked.outputs.items():
            self.made[path] = found
            if found.entry:
                self.digests[path] = found.entry.about["outputs"][name]
        return found

    def _asked(self, asked: Job) -> Foretold:
        """A job that shares another's work has nothing to do where the cache has that, or its own blocks of it."""
        if not asked.stage.shares:
            return self._kept(asked)
        whole, shard = self._kept(asked.whole), asked.wildcards["shard"]
        blocks = self._blocks(asked.whole) if whole.state is State.TO_MAKE else None
        if blocks and not blocks.missing(blocks.of_shard(shard)):
            return Foretold(asked, State.HIT)
        return Foretold(asked, whole.state, why=whole.why)

    def _blocks(self, evaluation: Job) -> Blocks | None:
        """Of an evaluation; None where its inputs are still to be made."""
        parts, path = self.parts.get((evaluation.stage.name, evaluation.name)), evaluation.inputs["data"]
        if parts is None:
            return None
        made = self.made[path].entry if path in self.made else None
        suite = evaluation.params.evaluation[evaluation.wildcards["suite"]]
        images = images_of(made.folder / "data" if made else path, evaluation.params.run.split, suite)
        return Blocks(parts, suite, images, self.cache)

    def _kept(self, asked: Job) -> Foretold:
        """What the cache says of a job's key, looked up once."""
        place = asked.stage.name, asked.name
        if place not in self.known:
            self.known[place] = self._looked_up(asked)
        return self.known[place]

    def _looked_up(self, asked: Job) -> Foretold:
        read = {name: path for name, path in asked.inputs.items() if name not in asked.stage.notes}
        for before in (self.made[path] for path in read.values() if path in self.made):
            if before.state is not State.HIT:
                return Foretold(asked, before.state, why=before.why)
        try:
            inputs = {name: self._digest(asked, name, path) for name, path in read.items()}
            parts = self.parts[asked.stage.name, asked.name] = {**asked.here.stated(), "inputs": inputs}
            entry = self.cache.find(key_of(parts))
        except UserError as error:
            return Foretold(asked, State.UNKNOWN, why=str(error))
        if entry is None or entry.about["outputs"].keys() != asked.outputs.keys():
            return Foretold(asked, State.TO_MAKE)
        return Foretold(asked, State.HIT, entry)

    def _digest(self, asked: Job, name: str, path: str) -> str:
        """What a job's key has of an input: of what the cache holds, or of a file that no job of the run makes.

        Raises:
            UserError: where such a file is not there.
        """
        if path not in self.made:
            if not Path(path).exists():
                raise UserError(f"{path}: not found, and no job of the run makes it")
            return digest_of_input(asked.stage, name, path)
        made = self.made[path]
        if name not in asked.stage.told or made.entry is None:
            return self.digests[path]
        output = next(each for each, where in made.job.outputs.items() if where == path)
        return digest_of_input(asked.stage, name, made.entry.folder / output)


def states(jobs: Iterable[Job], cache: Cache) -> list[Foretold]:
    """What the cache says of each job, in their order: each after those whose outputs it reads."""
    chain = Chain(cache)
    return [chain.foretell(job) for job in jobs]
