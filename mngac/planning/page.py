"""A plan as text: a table of stages, one of data sets, sums, and every assumption beside them; 100 columns at most."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from tabulate import tabulate

from mngac.params.errors import listed
from mngac.pipeline.stages import STAGES
from mngac.planning import space
from mngac.planning.cards import CPU, memory
from mngac.planning.plan import Line, Plan
from mngac.planning.standing import ASSUMED
from mngac.planning.states import State
from mngac.planning.steps import EVERY

WIDTH = 100
DASH = "–"
TRAININGS = ("train", "train_semi")


def text(plan: Plan, of: str) -> str:
    """The page; `of` says of which parameters."""
    run = plan.params.run
    sizes = {"data set": run.datasets, "method": run.all_methods, "seed": run.seeds, "suite": run.suites}
    counts = ", ".join(f"{len(names)} {what}{'s' if len(names) > 1 else ''}" for what, names in sizes.items())
    parts = [
        _wrapped(f"{of}: {counts} ({listed(run.suites)})"),
        _stages(plan),
        _datasets(plan),
        "\n".join(_wrapped(line, "- ") for line in _sums(plan)),
        "What this rests on:\n" + "\n".join(_wrapped(line, "- ") for line in _assumptions(plan)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _wrapped(line: str, first: str = "") -> str:
    return textwrap.fill(line, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _counts(lines: list[Line]) -> list[int]:
    states = [line.found.state for line in lines]
    return [len(lines), states.count(State.HIT), states.count(State.TO_MAKE), states.count(State.UNKNOWN)]


def _costs(plan: Plan, lines: Iterable[Line]) -> list[str]:
    """Forward-equivalents, operations and hours of what is left, and the hours at most."""
    work = [line.work for line in lines if line.left and line.work]
    if not work:
        return [DASH] * 4
    hours, most = plan.hours(lines), plan.hours(lines, most=True)
    return [
        f"{sum(one.passes for one in work) / 1e6:,.1f}",
        f"{sum(one.flops for one in work) / 1e15:,.1f}",
        _hours(hours),
        _hours(most),
    ]


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}" if hours else "0"


def _stages(plan: Plan) -> str:
    """A row a stage, in the order of the DAG, and their sum."""
    unit = "core" if plan.choice.card == CPU else plan.choice.card
    rows = []
    for name in STAGES:
        lines = [line for line in plan.lines if line.found.job.stage.name == name]
        if lines:
            rows.append([name, *_counts(lines), *_costs(plan, lines)])
    rows.append(["all", *_counts(plan.lines), *_costs(plan, plan.lines)])
    heads = ["stage", "jobs", "hits", "to make", "unknown", "passes (M)", "PFLOP", f"{unit} hours", "at most"]
    return _table(rows, heads)


def _datasets(plan: Plan) -> str:
    """Hours of each data set's trainings and evaluations."""
    suites = plan.params.run.suites
    rows = []
    for dataset in plan.params.run.datasets:
        mine = [line for line in plan.lines if line.found.job.wildcards.get("dataset") == dataset]
        trained = [line for line in mine if line.found.job.stage.name in TRAININGS]
        row = [dataset, _hours(plan.hours(trained))]
        for suite in suites:
            row.append(_hours(plan.hours(line for line in mine if line.found.job.wildcards.get("suite") == suite)))
        longest = max((plan.hours_of(line) for line in mine if line.left), default=0.0)
        rows.append([*row, _hours(plan.hours(mine)), _hours(longest)])
    return _table(rows, ["hours of", "training", *suites, "in all", "longest job"])


def _table(rows: list[list[object]], heads: list[str]) -> str:
    return tabulate(rows, heads, disable_numparse=True, colalign=("left", *["right"] * (len(heads) - 1)))


def _sums(plan: Plan) -> Iterator[str]:
    choice, hours, most = plan.choice, plan.hours(plan.lines), plan.hours(plan.lines, most=True)
    cards = f"{choice.gpus} {'core' if choice.card == CPU else choice.card}{'s' if choice.gpus > 1 else ''}"
    yield (
        f"by the clock on {cards}: {_hours(plan.clock())} h at best (longest chain of jobs: "
        f"{_hours(plan.longest_chain())} h)"
    )
    if choice.price is not None:
        yield (
            f"money at {choice.price:g} a {'core' if choice.card == CPU else 'card'} and hour: {hours * choice.price:,.0f}, "
            f"at most {most * choice.price:,.0f}"
        )
    yield (
        f"disk: {_size(plan.disk())} of outputs in the workspace and the cache together, "
        f"{_size(plan.checkpoints())} of checkpoints while {cards} train; downloads not counted"
    )
    peaks = [(what, plan.largest(stages)) for what, stages in (("training", TRAININGS), ("evaluation", ("evaluate",)))]
    for what, line in peaks:
        if line:
            of = memory(choice.card)
            room = f" of {_size(of)}" if of else ""
            yield f"memory of the device, roughly: {_size(line.space.memory)}{room} in {what} {line.found.job.name}"


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def _assumptions(plan: Plan) -> Iterator[str]:
    left = [line for line in plan.lines if line.left]
    for precision, speed in plan.speeds.items():
        if any(line.work and line.work.precision == precision for line in left):
            yield f"speed: {speed.source}"
    yield from _of_evaluations(plan, left)
    yield (
        "passes: forward passes of one image, of the job's own classifier (a gradient to the image is one more, to the "
        f"weights two); with the monitor of each epoch and every {EVERY}th step's look at MNG-AC's generator"
    )
    if any(line.found.job.stage.name in TRAININGS for line in left):
        yield "a method that draws its norm draws all alike; a resumed or repeated job costs more"
    free = sorted({line.found.job.stage.name for line in left if line.work is None and not line.unknown})
    if free:
        yield f"not counted, and small beside these: {listed(free)}; starts of processes, some seconds a job"
    if any(line.work and line.work.on_the_host for line in left):
        yield "not counted: brendel_bethge's loop over images on the processor"
    yield (
        f"memory: {space.KEPT} numbers kept for each that a convolution gives out, in every view of a loss; within a "
        "quarter of what was measured (docs/scaling.md)"
    )
    for what in sorted({line.unknown for line in left if line.unknown}):
        count = sum(line.unknown == what for line in left)
        yield f"unknown: {what}; its {count} jobs are in no sum"
    for why in sorted({line.found.why for line in left if line.found.why}):
        count = sum(line.found.why == why for line in left)
        yield f"{count} keys are not known, and their jobs counted as to be made: {why}"


def _of_evaluations(plan: Plan, left: list[Line]) -> Iterator[str]:
    """What share of their passes attacks are taken to need, and who says so."""
    said: dict[str, list[str]] = {}
    for dataset, suite in dict.fromkeys(
        (line.found.job.wildcards["dataset"], line.found.job.wildcards["suite"])
        for line in left
        if line.found.job.stage.name == "evaluate" and line.work
    ):
        records = plan.known.said[dataset, suite].records
        who = f"as in {records} records of the run" if records else f"{ASSUMED:.0%} of their most passes, assumed"
        said.setdefault(who, []).append(f"{dataset} {suite}")
    for who, where in said.items():
        yield f"attacks let broken images go: {who} ({', '.join(where)}); `at most`: nobody is broken"
