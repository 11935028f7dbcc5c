"""A plan as text: a table of stages, one of data sets, sums, and every assumption beside them; 100 columns at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass

from tabulate import tabulate

from mngac.params.errors import listed
from mngac.pipeline.jobs import TRAININGS
from mngac.pipeline.stages import STAGES
from mngac.planning import space
from mngac.planning.cards import CPU, memory
from mngac.planning.plan import Line, Plan
from mngac.planning.standing import ASSUMED
from mngac.planning.states import State
from mngac.planning.steps import EVERY
from mngac.planning.work import EVALUATIONS
from mngac.results.printed import wrapped

DASH = "–"


@dataclass(frozen=True)
class Units:
    """What times and operations are printed in: a small run's in minutes."""

    time: str
    of_hour: float
    operations: str
    flops: float

    @classmethod
    def of(cls, plan: Plan) -> Units:
        """The plan's."""
        small = plan.hours(plan.lines, most=True) < 3
        return cls("minutes", 60, "TFLOP", 1e12) if small else cls("hours", 1, "PFLOP", 1e15)

    def shown(self, hours: float) -> str:
        """A time, in three digits."""
        value = hours * self.of_hour
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(plan: Plan, of: str, *, jobs: bool = False) -> str:
    """The page; `of` says of which parameters, `jobs` whether every job is listed."""
    run, units = plan.params.run, Units.of(plan)
    sizes: dict[str, Sized] = {
        "data set": run.datasets,
        "method": run.all_methods,
        "seed": run.seeds,
        "suite": run.suites,
    }
    counts = ", ".join(f"{len(names)} {what}{'s' if len(names) > 1 else ''}" for what, names in sizes.items())
    parts = [
        wrapped(f"{of}: {counts} ({listed(run.suites)})"),
        _stages(plan, units),
        _datasets(plan, units) if any(line.left and line.work for line in plan.lines) else "",
        _jobs(plan, units) if jobs else "",
        "\n".join(wrapped(line, "- ") for line in _sums(plan, units)),
        "\n".join(["What this rests on:", *(wrapped(line, "- ") for line in _assumptions(plan))]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cards(plan: Plan, count: int = 1) -> str:
    name = "core" if plan.choice.card == CPU else plan.choice.card
    return f"{count} {name}{'s' if count > 1 else ''}"


def _counts(lines: list[Line]) -> list[int]:
    states = [line.found.state for line in lines]
    return [len(lines), *(states.count(state) for state in State)]


def _costs(plan: Plan, lines: Iterable[Line], units: Units) -> list[str]:
    """Forward-equivalents, operations and time of what is left, and the time at most."""
    lines = [line for line in lines if line.left and line.work]
    if not lines:
        return [DASH] * 4
    work = [line.work for line in lines if line.work]
    return [
        f"{sum(one.passes for one in work) / 1e6:,.1f}",
        f"{sum(one.flops for one in work) / units.flops:,.0f}",
        units.shown(plan.hours(lines)),
        units.shown(plan.hours(lines, most=True)),
    ]


def _stages(plan: Plan, units: Units) -> str:
    """A row a stage, in the order of the DAG, and their sum."""
    rows: list[list[object]] = []
    for name in STAGES:
        lines = [line for line in plan.lines if line.found.job.stage.name == name]
        if lines:
            rows.append([name, *_counts(lines), *_costs(plan, lines, units)])
    rows.append(["all", *_counts(plan.lines), *_costs(plan, plan.lines, units)])
    time = f"{'core' if plan.choice.card == CPU else plan.choice.card} {units.time}"
    heads = ["stage", "jobs", "hits", "to make", "unknown", "passes (M)", units.operations, time, "at most"]
    return _table(rows, heads)


def _datasets(plan: Plan, units: Units) -> str:
    """The time of each data set's trainings, evaluations by suite, and longest job."""
    rows: list[list[object]] = []
    for dataset in plan.params.run.datasets:
        mine = [line for line in plan.lines if line.found.job.wildcards.get("dataset") == dataset]
        groups = [[line for line in mine if line.found.job.stage.name in TRAININGS]]
        for suite in plan.params.run.suites:
            groups.append([line for line in mine if line.found.job.wildcards.get("suite") == suite])
        longest = max((plan.hours_of(line) for line in mine if line.left), default=0.0)
        times = [*(plan.hours(group) for group in [*groups, mine]), longest]
        rows.append([dataset, *map(units.shown, times)])
    return _table(rows, [f"{units.time} of", "training", *plan.params.run.suites, "in all", "longest job"])


def _jobs(plan: Plan, units: Units) -> str:
    """A table a stage whose work is counted: its jobs, hits with what they would take again."""
    tables = []
    for name in STAGES:
        lines = [line for line in plan.lines if line.found.job.stage.name == name and (line.work or line.unknown)]
        rows = [[line.found.job.name, line.found.state.value, *_of_a_job(plan, line, units)] for line in lines]
        heads = [name, "state", "passes (M)", units.time]
        tables += [_table(rows, heads)] if rows else []
    return "\n\n".join(tables)


def _of_a_job(plan: Plan, line: Line, units: Units) -> list[object]:
    if line.work is None:
        return [DASH] * 2
    return [f"{line.work.passes / 1e6:,.3f}", units.shown(plan.hours_of(line))]


def _table(rows: list[list[object]], heads: list[str]) -> str:
    return tabulate(rows, heads, disable_numparse=True, colalign=("left", *["right"] * (len(heads) - 1)))


def _sums(plan: Plan, units: Units) -> Iterator[str]:
    choice, hours, most = plan.choice, plan.hours(plan.lines), plan.hours(plan.lines, most=True)
    cards, chain = _cards(plan, choice.gpus), units.shown(plan.longest_chain())
    clock = f"{units.shown(plan.clock())} {units.time}"
    known = ", without what is not known" if any(line.left and line.unknown for line in plan.lines) else ""
    yield f"by the clock on {cards}{known}: {clock} at best; the longest chain of jobs {chain}"
    if choice.price is not None:
        per = f"{choice.price:g} for {_cards(plan)} and hour"
        yield f"money: {hours * choice.price:,.2f}, at most {most * choice.price:,.2f}, at {per}"
    yield (
        f"disk: outputs {_size(plan.disk())}, in the workspace and the cache together; checkpoints while {cards} "
        f"train{'s' if choice.gpus == 1 else ''} {_size(plan.checkpoints())}; downloads not counted"
    )
    for what, stages in (("training", TRAININGS), ("evaluation", EVALUATIONS)):
        line = plan.largest(stages)
        if line:
            yield f"memory, roughly: {_size(line.space.memory)}{_beside(plan, line)} in {what} {line.found.job.name}"


def _beside(plan: Plan, line: Line) -> str:
    """A card's memory, and whether the job is too large for it."""
    room = memory(plan.choice.card)
    if room is None:
        return ""
    return f" of {_size(room)}{'' if line.space.memory < room else ', too much: lower its batch_size,'}"


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def _assumptions(plan: Plan) -> Iterator[str]:
    left = [line for line in plan.lines if line.left]
    for (what, dataset), own in plan.taken.items():
        if any(plan.own(line) is own for line in left):
            yield f"speed of {what} on {dataset}: {own.speed / 1e9:,.0f} GFLOP/s, as {own.jobs} jobs of the run took"
    for precision, speed in plan.speeds.items():
        mine = [line for line in left if line.work and line.work.precision == precision and not plan.own(line)]
        stages = dict.fromkeys(line.found.job.stage.name for line in mine)
        if stages:
            yield f"speed of {listed(stages)}: {speed.source}"
    yield from _of_evaluations(plan, left)
    yield from _of_unforeseen(left)
    yield (
        "passes: forward passes of one image through the job's own classifier; a gradient to the image is one more, to "
        f"the weights two; with each epoch's monitor, and the look at MNG-AC's generator in one of {EVERY} steps"
    )
    yield "a method that draws its norm draws all alike"
    yield (
        f"memory: {space.KEPT} numbers kept for each that a convolution gives out, in every view of a loss (0.9 to "
        f"1.35 times what a CPU took: docs/scaling.md); {space.KEPT_ASKED} in an evaluation's attack, a rough guess"
    )
    if any(line.found.job.stage.shares for line in left):
        yield "evaluate_shard: under Snakemake; DVC runs no shards, and its evaluations do their work"
    yield from _left_out(left)


def _of_evaluations(plan: Plan, left: list[Line]) -> Iterator[str]:
    """What share of their passes attacks are taken to need, and who says so."""
    asked = [line.found.job.wildcards for line in left if line.work and "suite" in line.found.job.wildcards]
    said: dict[str, list[str]] = {}
    for dataset, suite in dict.fromkeys((w["dataset"], w["suite"]) for w in asked):
        records = plan.known.said[dataset, suite].records
        who = f"as in {records} records of the run" if records else f"{ASSUMED:.0%} of their passes are assumed"
        said.setdefault(who, []).append(f"{dataset} {suite}")
    for who, where in said.items():
        yield f"attacks let broken images go, {who} ({', '.join(where)}); at most: nothing is broken"


def _of_unforeseen(left: list[Line]) -> Iterator[str]:
    """The same of unforeseen attacks, of which no record is asked."""
    names = dict.fromkeys(
        line.found.job.wildcards["unforeseen"] for line in left if line.found.job.stage.name == "unforeseen"
    )
    if names:
        yield f"unforeseen attacks: {ASSUMED:.0%} of their searches' passes are assumed ({listed(names)}); at most: all"


def _left_out(left: list[Line]) -> Iterator[str]:
    """What is in no sum."""
    free = dict.fromkeys(line.found.job.stage.name for line in left if not line.work and not line.unknown)
    if free:
        yield f"not counted: {listed(free)}; the start of a process, some seconds a job"
    if any(line.work and line.work.on_the_host for line in left):
        yield "not counted: brendel_bethge's loop over images on the processor"
    for what in dict.fromkeys(line.unknown for line in left if line.unknown):
        count = sum(line.unknown == what for line in left)
        yield f"not known, and in no sum: what {count} jobs take, for {what}"
    for why in dict.fromkeys(line.found.why for line in left if line.found.why):
        count = sum(line.found.why == why for line in left)
        yield f"{count} keys are not known, so that none of them is a hit: {why}"
