"""What records show that makes an evaluation doubtful: weak attacks that look strong. Loads without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Generic, TypeVar

from mngac.params.types import number
from mngac.results.records import AttackRecord, Record, worst_case
from mngac.results.together import CLASSIFIER, IMAGES, alike

MONITOR_POINTS = 2.0
"""Points by which `pgd` may lie above APGD before the gap is a flag."""
RISE_POINTS = 0.5
"""Points by which a larger radius or more steps may raise the accuracy: what random starts do."""


T = TypeVar("T")


@dataclass(frozen=True)
class Suspect(Generic[T]):
    """A record whose flags are asked for, who it is to the reader, and all records of its classifier at hand."""

    who: T
    record: Record
    of_classifier: Sequence[Record] = ()


def collected(suspects: Sequence[Suspect[T]]) -> dict[str, list[T]]:
    """Every flag of some records, with all whom it concerns: their own, their suites', those between records."""
    pairs = [
        (suspect.who, flag)
        for suspect in suspects
        for flag in dict.fromkeys([*of_record(suspect.record), *across(suspect.of_classifier or [suspect.record])])
    ]
    return grouped(pairs)


def of_record(record: Record) -> list[str]:
    """A record's own flags, that of its suite, and those of its classifier's training."""
    return list(dict.fromkeys([*record.flags, *overstates(record.configs), *_collapses(record)]))


def _collapses(record: Record) -> list[str]:
    """A flag for each epoch of the training that lost a norm's robustness (mngac/training/collapse.py).

    Of one that attacked no image none, though older records say of some that they collapsed.
    """
    if record.training.get("attacked") is False:
        return []
    return [
        f"catastrophic overfitting in epoch {c['epoch']} of the training: robust accuracy in {c['norm']} fell from "
        f"{c['before']:.0f} % down to {c['after']:.0f} % of its monitor's images"
        for c in record.training.get("collapses", [])
    ]


def overstates(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A flag where a suite lacks what a re-evaluation by AutoAttack would add most: targets, and starts in l_1.

    Args:
        configs: the attacks' entries of the suite; empty ones, of a record that does not hold them, say nothing.
    """
    entries = [s for s in configs if s]
    norms = {s["norm"] for s in entries}
    aimed = {s["norm"] for s in entries if s.get("targets")}
    without = sorted(norms - aimed - {"l1"})
    lacking = [f"no targeted attack in {', '.join(without)}"] if without else []
    if "l1" in norms and not any(s.get("restarts", 1) * s.get("targets", 1) > 1 for s in entries if s["norm"] == "l1"):
        lacking.append("a single start in l1")
    return [f"not re-evaluated: this suite is known to overstate ({', '.join(lacking)})"] if lacking else []


def across(records: Sequence[Record]) -> list[str]:
    """Flags that show between records of one classifier on the same images.

    `pgd` more than 2 points above APGD, a larger radius with a higher accuracy, more steps with a higher accuracy.
    Records of different classifiers or images are not held against each other.
    """
    flags = []
    for first, second in permutations(records, 2):
        if alike(first, second, (*CLASSIFIER, *IMAGES)):
            flags += _weak_monitor(first, second) + _larger_radius(first, second)
    for one in records:
        flags += _more_steps(one, one)
    for first, second in combinations(records, 2):
        if alike(first, second, (*CLASSIFIER, *IMAGES)):
            flags += _more_steps(first, second)
    return list(dict.fromkeys(flags))


def _points(correct: Sequence[bool]) -> float:
    return 100 * sum(correct) / len(correct)


def _weak_monitor(monitor: Record, strong: Record) -> list[str]:
    """`pgd` against APGD, norm by norm, at the same radius."""
    flags = []
    for norm in monitor.norms():
        weak = [a for a in monitor.attacks if a.norm == norm and a.name.startswith("pgd")]
        apgd = [a for a in strong.attacks if a.norm == norm and "apgd" in a.name]
        alone = len(weak) == len([a for a in monitor.attacks if a.norm == norm])
        if not (weak and apgd and alone) or number(weak[0].radius) != number(apgd[0].radius):
            continue
        gap = _points(monitor.robust(norm)) - _points(worst_case(strong.clean, *(a.correct for a in apgd)))
        if gap > MONITOR_POINTS:
            flags.append(f"pgd is {gap:.1f} points above APGD on {norm}: no number may rest on it")
    return flags


def _larger_radius(small: Record, large: Record) -> list[str]:
    """The same suite at two radii."""
    flags = []
    if small.suite != large.suite or small.configs != large.configs:
        return []
    for norm in small.norms():
        if norm not in large.norms() or not number(small.radii()[norm]) < number(large.radii()[norm]):
            continue
        rise = _points(large.robust(norm)) - _points(small.robust(norm))
        if rise > RISE_POINTS:
            flags.append(
                f"{large.suite} {norm}: radius {large.radii()[norm]} leaves {rise:.1f} points more than "
                f"{small.radii()[norm]}"
            )
    return flags


def _more_steps(first: Record, second: Record) -> list[str]:
    """The same attack with more steps or queries, where both columns cover all images."""
    flags = []
    pairs = [(a, s, b, t) for a, s in _complete(first) for b, t in _complete(second)]
    for weak, weak_config, strong, strong_config in pairs:
        for budget in ("steps", "queries"):
            few, many = weak_config.get(budget), strong_config.get(budget)
            alike = {**weak_config, budget: 0} == {**strong_config, budget: 0} and weak.radius == strong.radius
            if not (few and many and alike) or few == many:
                continue
            rise = 100 * (strong.correct.count("1") - weak.correct.count("1")) / first.n * (1 if few < many else -1)
            if rise > RISE_POINTS:
                more, fewer = max(few, many), min(few, many)
                flags.append(
                    f"{weak_config['attack']} {weak.norm}: {more} {budget} leave {rise:.1f} points more than {fewer}"
                )
    return flags


def _complete(record: Record) -> list[tuple[AttackRecord, dict]]:
    """Attacks whose column covers every image that was correct, with their config."""
    pairs = zip(record.attacks, record.configs, strict=True)
    return [
        (attack, config)
        for attack, config in pairs
        if config and not any(c == "1" and f == "." for c, f in zip(record.clean, attack.correct, strict=True))
    ]


_NUMBER = re.compile(r"(?<![\w./])\d+(?:\.\d+)?(?![\w/]|\.\d)")


def grouped(pairs: Sequence[tuple[T, str]]) -> dict[str, list[T]]:
    """Pairs (who, flag) as flag -> all whom it concerns; flags that differ in numbers alone are one, with ranges."""
    kinds: dict[str, list[tuple[T, str]]] = {}
    for who, flag in pairs:
        kinds.setdefault(_NUMBER.sub("#", flag), []).append((who, flag))
    return {
        _over_all([flag for _, flag in alike]): list(dict.fromkeys(who for who, _ in alike)) for alike in kinds.values()
    }


def _over_all(flags: Sequence[str]) -> str:
    """Flags of one wording as one, each number from its least to its largest."""
    ranges = [sorted(column, key=float) for column in zip(*(_NUMBER.findall(flag) for flag in flags), strict=True)]
    texts = iter(low if low == high else f"{low} to {high}" for low, *_, high in ([r[0], *r] for r in ranges))
    return _NUMBER.sub(lambda _: next(texts), flags[0])
