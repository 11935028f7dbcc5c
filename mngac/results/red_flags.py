"""What records show that makes an evaluation doubtful: weak attacks that look strong. Loads without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, TypeVar

from mngac.params.types import number
from mngac.results.records import AttackRecord, Record, worst_case
from mngac.results.statistics import wilson

MONITOR_POINTS = 2.0
"""Points by which `pgd` may lie above APGD before the gap is a flag."""
BLACK_BOX_SHARE = 0.002
"""Share of the images that a black-box attack may add to what the gradient attacks broke (AutoAttack's own check)."""
RISE_POINTS = 0.5
"""Points by which a larger radius or more steps may raise the accuracy: what random starts do."""


def of_classifier(found: Sequence[Record]) -> list[str]:
    """All flags of one classifier's records: their own, those of their suites, and those that show between them."""
    return list(dict.fromkeys([*(flag for record in found for flag in of_record(record)), *across(found)]))


def of_record(record: Record) -> list[str]:
    """A record's own flags, and that of its suite."""
    return list(dict.fromkeys([*record.flags, *overstates(record.configs)]))


def overstates(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """A flag where a suite lacks what a re-evaluation by AutoAttack would add most: targets, and starts in l_1.

    Args:
        settings: the attacks' entries of the suite; empty ones, of a record that does not hold them, say nothing.
    """
    entries = [s for s in settings if s]
    norms = {s["norm"] for s in entries}
    aimed = {s["norm"] for s in entries if s.get("targets")}
    without = sorted(norms - aimed - {"l1"})
    lacking = [f"no targeted attack in {', '.join(without)}"] if without else []
    if "l1" in norms and not any(s.get("restarts", 1) * s.get("targets", 1) > 1 for s in entries if s["norm"] == "l1"):
        lacking.append("a single start in l1")
    return [f"not re-evaluated: this suite is known to overstate ({', '.join(lacking)})"] if lacking else []


def at_chance(right: int, n: int, classes: int) -> list[str]:
    """A flag where the clean accuracy cannot be told from chance: Wilson's 95 % interval holds one in `classes`."""
    if wilson(right, n)[0] > 1 / classes:
        return []
    return [f"clean accuracy is {100 * right / n:.1f} % of {n} images: at chance level for {classes} classes"]


def black_box_wins(attacks: Sequence[AttackRecord], black_box: Sequence[bool], n: int) -> list[str]:
    """Flags where an attack without gradients broke images that the norm's gradient attacks had left right.

    Args:
        attacks: of one evaluation.
        black_box: for each, whether it uses no gradients.
        n: number of images.
    """
    flags = []
    for attack, blind in zip(attacks, black_box, strict=True):
        seeing = [a for a, b in zip(attacks, black_box, strict=True) if a.norm == attack.norm and not b]
        if not blind or not seeing:
            continue
        left = worst_case(*(a.correct for a in seeing))
        won = sum(held and flag == "0" for held, flag in zip(left, attack.correct, strict=True))
        if won > BLACK_BOX_SHARE * n:
            flags.append(f"{attack.name} {attack.norm} broke {won} images that the gradient attacks had left")
    return flags


def across(records: Sequence[Record]) -> list[str]:
    """Flags that show between records of one classifier on the same images.

    `pgd` more than 2 points above APGD, a larger radius with a higher accuracy, more steps with a higher accuracy.
    Records of different classifiers or images are not held against each other.
    """
    flags = []
    for first, second in permutations(records, 2):
        if _same_images(first, second):
            flags += _weak_monitor(first, second) + _larger_radius(first, second)
    for one in records:
        flags += _more_steps(one, one)
    for first, second in combinations(records, 2):
        if _same_images(first, second):
            flags += _more_steps(first, second)
    return list(dict.fromkeys(flags))


def _same_images(first: Record, second: Record) -> bool:
    who = [(r.dataset, r.split, r.method, r.seed, r.indices) for r in (first, second)]
    return who[0] == who[1]


def _points(flags: Sequence[bool]) -> float:
    return 100 * sum(flags) / len(flags)


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
    for weak, weak_settings, strong, strong_settings in pairs:
        for budget in ("steps", "queries"):
            few, many = weak_settings.get(budget), strong_settings.get(budget)
            alike = {**weak_settings, budget: 0} == {**strong_settings, budget: 0} and weak.radius == strong.radius
            if not (few and many and alike) or few == many:
                continue
            rise = 100 * (strong.correct.count("1") - weak.correct.count("1")) / first.n * (1 if few < many else -1)
            if rise > RISE_POINTS:
                more, fewer = max(few, many), min(few, many)
                flags.append(
                    f"{weak_settings['attack']} {weak.norm}: {more} {budget} leave {rise:.1f} points more than {fewer}"
                )
    return flags


def _complete(record: Record) -> list[tuple[AttackRecord, dict]]:
    """Attacks whose column covers every image that was right, with their settings."""
    found = zip(record.attacks, record.configs, strict=True)
    return [
        (attack, settings)
        for attack, settings in found
        if settings and not any(c == "1" and f == "." for c, f in zip(record.clean, attack.correct, strict=True))
    ]


T = TypeVar("T")
_NUMBER = re.compile(r"(?<![\w./])\d+(?:\.\d+)?(?![\w/]|\.\d)")


def grouped(found: Sequence[tuple[T, str]]) -> dict[str, list[T]]:
    """(who, flag) pairs as flag -> all whom it concerns; flags that differ in numbers alone are one, with ranges."""
    kinds: dict[str, list[tuple[T, str]]] = {}
    for who, flag in found:
        kinds.setdefault(_NUMBER.sub("#", flag), []).append((who, flag))
    return {
        _over_all([flag for _, flag in pairs]): list(dict.fromkeys(who for who, _ in pairs)) for pairs in kinds.values()
    }


def _over_all(flags: Sequence[str]) -> str:
    """Flags of one wording as one, each number from its least to its largest."""
    ranges = [sorted(column, key=float) for column in zip(*(_NUMBER.findall(flag) for flag in flags), strict=True)]
    texts = iter(low if low == high else f"{low} to {high}" for low, *_, high in ([r[0], *r] for r in ranges))
    return _NUMBER.sub(lambda _: next(texts), flags[0])
