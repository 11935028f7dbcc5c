"""A run foretold: each job with what the cache says of it, its work, its hours and the room that it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mngac.params.errors import UserError
from mngac.params.sections import Params
from mngac.pipeline.cache import Cache
from mngac.pipeline.jobs import jobs
from mngac.planning import space
from mngac.planning.cards import CPU, Choice, Speed, speed
from mngac.planning.images import Images, foretold, read
from mngac.planning.space import Space
from mngac.planning.standing import Known
from mngac.planning.states import Foretold, State, states
from mngac.planning.taken import Place, Taken, place_of, taken
from mngac.planning.work import TF32, Unknown, Work, Worker


@dataclass(frozen=True)
class Line:
    """A job of the plan."""

    found: Foretold
    work: Work | None
    """None where it is not counted, or not known."""
    space: Space
    unknown: str = ""
    """What keeps its work from being known."""

    @property
    def left(self) -> bool:
        """Whether it is to be computed, or may be."""
        return self.found.state is not State.HIT


@dataclass(frozen=True)
class Plan:
    """All jobs of a run, in the order of the DAG, and how fast the card takes them."""

    params: Params
    choice: Choice
    lines: list[Line]
    speeds: dict[str, Speed]
    """By precision."""
    known: Known
    taken: dict[Place, Taken]
    """What the run's own jobs took, which goes before."""

    def hours(self, lines: Iterable[Line], *, most: bool = False) -> float:
        """Hours on one card of what is left of some jobs."""
        return sum(self.hours_of(line, most=most) for line in lines if line.left)

    def hours_of(self, line: Line, *, most: bool = False) -> float:
        """Hours on one card of a job."""
        if line.work is None:
            return 0.0
        own = self.own(line)
        speed = own.speed if own else self.speeds[line.work.precision].flops
        return (line.work.most if most else line.work.flops) / speed / 3600

    def own(self, line: Line) -> Taken | None:
        """What jobs like this one took, where the cache has some of the run's."""
        place = place_of(line.found)
        return self.taken.get(place) if place else None

    def longest_chain(self) -> float:
        """Hours of the longest chain of jobs that are left: no number of cards is faster."""
        ready: dict[str, float] = {}
        for line in self.lines:
            job = line.found.job
            read = [*job.inputs.values(), *job.shards.values()]
            start = max((ready.get(path, 0.0) for path in read), default=0.0)
            ready.update(dict.fromkeys(job.outputs.values(), start + (self.hours_of(line) if line.left else 0.0)))
        return max(ready.values(), default=0.0)

    def clock(self) -> float:
        """Hours by the clock with all cards busy, at best."""
        return max(self.hours(self.lines) / self.choice.gpus, self.longest_chain())

    def disk(self) -> float:
        """Bytes that the outputs of what is left take, in the workspace and in the cache."""
        return space.COPIES * sum(line.space.disk for line in self.lines if line.left)

    def checkpoints(self) -> float:
        """Bytes of the checkpoints of the largest trainings, one a card."""
        sizes = sorted((line.space.checkpoints for line in self.lines if line.left), reverse=True)
        return sum(sizes[: self.choice.gpus])

    def largest(self, stages: Iterable[str]) -> Line | None:
        """The job of some stages that takes most of a device's memory, of what is left."""
        mine = [line for line in self.lines if line.left and line.found.job.stage.name in {*stages}]
        return max((line for line in mine if line.space.memory), key=lambda line: line.space.memory, default=None)


def plan(params: Params, choice: Choice) -> Plan:
    """Foretells a run; asks the cache, and computes nothing."""
    found = states(jobs(params), Cache())
    device = CPU if choice.card == CPU else "cuda"
    images = {line.job.wildcards["dataset"]: _images(line, params) for line in found if line.job.stage.name == "data"}
    known = Known(line for line in found if line.job.stage.name == "evaluate")
    worker = Worker(params, images, known, device)
    lines = [_line(worker, one) for one in found]
    wanted = {line.work.precision for line in lines if line.work} | {"float32" if device == CPU else TF32}
    speeds = {precision: _speed(choice, precision) for precision in sorted(wanted)}
    done = taken(((line.found, line.work) for line in lines), choice.card)
    return Plan(params, choice, lines, speeds, known, done)


def _images(found: Foretold, params: Params) -> Images | None:
    """Of a data set: from the cache, the workspace, or what is known of its source."""
    if found.entry:
        return read(found.entry.folder / "data")
    path = Path(found.job.outputs["data"])
    return read(path) if path.is_file() else foretold(params.data[found.job.wildcards["dataset"]])


def _line(worker: Worker, found: Foretold) -> Line:
    try:
        return Line(found, worker.of(found.job), space.of(worker, found.job))
    except Unknown as unknown:
        return Line(found, None, Space(), unknown=str(unknown))


def _speed(choice: Choice, precision: str) -> Speed:
    found = speed(choice.card, precision, choice.utilisation)
    if found is None:
        raise UserError(
            f"--card {choice.card}: no training in {precision} is measured; allowed: after "
            "python -m benchmarks train ... --json docs/measurements.json, or a card"
        )
    return found
