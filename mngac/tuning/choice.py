"""What `mngac tune` chooses, from what steps took: the memory format, and compilation where whole trainings gain.

A training is a process of its own and compiles anew, so what counts is the time of all its steps and of compiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_GAIN = 1.03
"""Times as fast: less is noise, and what params say stays, since a change trains everything anew."""
MOST_COMPILED = 3
"""Methods that are compiled to be timed: each takes as long to compile as a training of it does."""


@dataclass(frozen=True)
class Timed:
    """The trainings of one method, uncompiled."""

    method: str
    trainings: int
    """How many the run has: one a seed."""
    steps: int
    """Of one training."""
    seconds: Mapping[str, float]
    """Of a step, by memory format."""

    def whole(self, layout: str) -> float:
        """Seconds of all steps of all trainings."""
        return self.trainings * self.steps * self.seconds[layout]


@dataclass(frozen=True)
class Compared:
    """One method's steps side by side, in seconds, and the seconds that its training compiles before."""

    eager: float
    compiled: float
    compiling: float


@dataclass(frozen=True)
class Whole:
    """All trainings of a run: seconds of their steps, and seconds of compiling."""

    steps: float
    compiling: float = 0.0

    @property
    def seconds(self) -> float:
        """Both."""
        return self.steps + self.compiling


def all_steps(timed: Sequence[Timed]) -> int:
    """Steps of all trainings."""
    return sum(each.trainings * each.steps for each in timed)


def whole_of(timed: Sequence[Timed], layout: str) -> Whole:
    """All trainings uncompiled."""
    return Whole(sum(each.whole(layout) for each in timed))


def to_compile(timed: Sequence[Timed], layout: str) -> list[str]:
    """Methods that stand for all where compilation is timed: of the longest, the middle and the shortest trainings."""
    longest_first = [each.method for each in sorted(timed, key=lambda each: -each.whole(layout))]
    if len(longest_first) <= MOST_COMPILED:
        return longest_first
    return [longest_first[0], longest_first[len(longest_first) // 2], longest_first[-1]]


def whole_compiled(timed: Sequence[Timed], layout: str, compared: Mapping[str, Compared]) -> Whole:
    """All trainings compiled; those of methods that are not among the compared are taken in proportion to them."""
    known = list(compared.values())
    share = sum(each.compiled for each in known) / sum(each.eager for each in known)
    compiling = sum(each.compiling for each in known) / len(known)
    steps = total = 0.0
    for each in timed:
        own = compared.get(each.method)
        steps += each.whole(layout) * (own.compiled / own.eager if own else share)
        total += each.trainings * (own.compiling if own else compiling)
    return Whole(steps, total)


def chosen(wholes: Mapping[str, Whole], stated: str) -> str:
    """The name of what takes least, or of what params state where that gains too little."""
    best = min(wholes, key=lambda name: wholes[name].seconds)
    return best if wholes[stated].seconds >= LEAST_GAIN * wholes[best].seconds else stated
