"""Training steps against the plain reference and against the convolutions alone: one row a method and norm drawn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.convolutions import Recorder, seconds_alone
from benchmarks.memory import allocator
from benchmarks.peak_memory import peak_bytes
from benchmarks.plain import LOSSES
from benchmarks.products import peak_flops
from benchmarks.settings import Settings
from benchmarks.sides import Ours, Reference, Side
from benchmarks.turns import Spread, in_turns, ratio
from mngac.models.frozen import frozen_statistics
from mngac.params.errors import UserError
from mngac.training.cost import flops_of_a_forward
from mngac.tuning.timing import Clock

WARM = 2
STEPS = {"cpu": 1, "cuda": 5}
"""Steps of a turn: on a card several, since the host runs ahead of it."""
METHODS = ["nat", "adv_linf", "adv_l1", "adv_l2", "trades_linf", "sat", "sat_ac", "mng_ac", "adv_avg", "adv_max", "msd"]


def rows(settings: Settings, methods: list[str]) -> Iterator[dict[str, Any]]:
    """A row a method, and one for each norm where it draws one; then their mean, as chance draws them alike."""
    torch.set_num_threads(settings.threads)
    for method in methods:
        if settings.plan(method).method.kind not in LOSSES:
            raise UserError(f"--methods: found {method}, which has no plain reference; allowed: {', '.join(METHODS)}")
        kinds = settings.kinds(method)
        found = []
        for norms in kinds:
            found.append(row(settings, method, norms))
            yield found[-1]
        if len(kinds) > 1:
            yield mean_row(found)


def row(settings: Settings, method: str, norms: list[str] | None) -> dict[str, Any]:
    """What one kind of step takes, in numbers that JSON can hold."""
    clock = Clock(settings.device, settings.threads)
    trainer = settings.trainer(method, norms)
    ours = Ours(trainer)
    sides: dict[str, Side] = {"plain": Reference(trainer, settings), "ours": ours}
    if allocator(kept=False):
        sides["plain_kept"] = Reference(trainer, settings, kept=True)
    numbers = iter(range(1 << 30))
    timed = {
        name: partial(seconds_a_step, taken, numbers, clock, STEPS[settings.device]) for name, taken in sides.items()
    }
    in_turns(timed, WARM)
    turns = in_turns(timed, settings.turns)
    ours.prepare()
    with Recorder() as recorder:
        ours.step(next(numbers))
    alone = seconds_alone(recorder, clock)
    watch = ours.watch_seconds(clock, next(numbers))
    with frozen_statistics(trainer.classifier, "eval"):
        forward = flops_of_a_forward(trainer.classifier, trainer.batch(0).x)
    whole = [seconds + watch for seconds in turns["ours"]]
    seconds = Spread.of(whole).median
    return {
        "method": method,
        "norm": norms[0] if norms else "",
        "computed_in": recorder.precision(),
        "turns": settings.turns,
        "ours_ms": Spread.of(whole).as_dict(1000),
        "plain_ms": Spread.of(turns["plain"]).as_dict(1000),
        "ratio": ratio(turns["plain"], whole).as_dict(),
        "ratio_same_allocator": ratio(turns["plain_kept"], whole).as_dict() if "plain_kept" in turns else None,
        "images_per_second": round(settings.batch / seconds, 1),
        "forward_equivalents": round(ours.forward_equivalents(forward), 2),
        "gflops_per_second": round(recorder.total / seconds / 1e9, 2),
        "gflops_per_second_alone": round(recorder.total / alone / 1e9, 2),
        "gflops_per_second_peak": round(peak_flops(clock, recorder.dtype()) / 1e9, 2),
        "convolutions_alone_ms": round(1000 * alone, 3),
        "share_of_alone": round(alone / seconds, 3),
        "watch_ms": round(1000 * watch, 3),
        "peak_mb": {name: round(peak_bytes(name, settings, method, norms) / 1e6, 1) for name in ("ours", "plain")},
    }


def seconds_a_step(taken: Side, numbers: Iterator[int], clock: Clock, steps: int) -> float:
    """Seconds of a step, over a few."""

    def all_of_them() -> None:
        for _ in range(steps):
            taken.step(next(numbers))

    taken.prepare()
    return clock.took(all_of_them) / steps


def mean_row(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean step of a method that draws its norm uniformly: times are means, ratios those of summed times."""

    def mean(*path: str) -> float:
        values: list[Any] = list(found)
        for key in path:
            values = [value[key] for value in values]
        return sum(values) / len(values)

    ours, alone = mean("ours_ms", "median"), mean("convolutions_alone_ms")
    gflop = sum(r["gflops_per_second"] * r["ours_ms"]["median"] for r in found) / len(found)
    same = [r["ratio_same_allocator"] for r in found]
    kept = [r["ratio_same_allocator"]["median"] * r["ours_ms"]["median"] for r in found] if all(same) else []
    images = found[0]["images_per_second"] * found[0]["ours_ms"]["median"]
    return {
        "method": found[0]["method"],
        "norm": "mean",
        "computed_in": found[0]["computed_in"],
        "turns": found[0]["turns"],
        "ours_ms": {key: round(mean("ours_ms", key), 3) for key in ("median", "low", "high")},
        "plain_ms": {key: round(mean("plain_ms", key), 3) for key in ("median", "low", "high")},
        "ratio": {"median": round(mean("plain_ms", "median") / ours, 3)},
        "ratio_same_allocator": {"median": round(sum(kept) / len(kept) / ours, 3)} if kept else None,
        "images_per_second": round(images / ours, 1),
        "forward_equivalents": round(mean("forward_equivalents"), 2),
        "gflops_per_second": round(gflop / ours, 2),
        "gflops_per_second_alone": round(gflop / alone, 2),
        "gflops_per_second_peak": found[0]["gflops_per_second_peak"],
        "convolutions_alone_ms": round(alone, 3),
        "share_of_alone": round(alone / ours, 3),
        "watch_ms": round(mean("watch_ms"), 3),
        "peak_mb": {name: max(r["peak_mb"][name] for r in found) for name in ("ours", "plain")},
    }
