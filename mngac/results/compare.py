"""Two classifiers on the same images: paired differences, their intervals, and where they differ. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from mngac.results.intervals import LEVEL
from mngac.results.records import Record, RecordError
from mngac.results.red_flags import Suspect, collected
from mngac.results.statistics import mcnemar, paired_difference, paired_t
from mngac.results.together import check_alike


@dataclass(frozen=True)
class Difference:
    """One column: shares correct in percent on either side, first minus second with its 95 % interval in points, and p.

    Interval and p are None where the differences of several seeds are all alike.

    `only_first` and `only_second` are the data set's indices of the images that more of one side's records classify
    correctly than of the other's; with one record a side, those that it alone does.
    """

    column: str
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    only_first: list[int]
    only_second: list[int]


def compare(
    first: Record | Sequence[Record], second: Record | Sequence[Record], mixed: bool = False
) -> list[Difference]:
    """Clean accuracy, each norm attacked, and the union where all three were.

    One record a side: the score interval of a paired difference (Tango 1998) and the exact McNemar p. Several, of the
    same seeds on both sides: the t interval and test of the differences paired by seed, as in the tables.

    Args:
        first: a record, or one a seed.
        second: what it is held against; differences, in points, are the first's accuracy less this one's.
        mixed: whether attacks by other code may be compared.

    Raises:
        RecordError: for records that may not stand together, or of other seeds, and for what is no record.
    """
    first, second = ([side] if isinstance(side, Record) else list(side) for side in (first, second))
    if not first or not second:
        raise RecordError("nothing to compare; allowed: at least one record a side")
    for each in (*first, *second):
        if not isinstance(each, Record):
            raise RecordError(f"compare: found {type(each).__name__}; allowed: records, as .record(...) makes them")
    check_alike([*first, *second], mixed)
    pairs = _pairs(first, second)
    return [_difference(column, pairs) for column in first[0].columns()]


def _pairs(first: Sequence[Record], second: Sequence[Record]) -> list[tuple[Record, Record]]:
    """The two sides' records, seed by seed; a single one a side is a pair whatever its seed."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    sides = [sorted(side, key=lambda r: r.seed) for side in (first, second)]
    seeds = [[r.seed for r in side] for side in sides]
    if seeds[0] != seeds[1] or len(set(seeds[0])) < len(seeds[0]):
        raise RecordError(f"compare: found seeds {seeds[0]} and {seeds[1]}; allowed: the same on both sides, each once")
    return list(zip(*sides, strict=True))


def _difference(column: str, pairs: Sequence[tuple[Record, Record]]) -> Difference:
    a, b = [p.column(column) for p, _ in pairs], [q.column(column) for _, q in pairs]
    difference, low, high, p = tested(column, pairs)
    better = [sum(x) - sum(y) for x, y in zip(zip(*a, strict=True), zip(*b, strict=True), strict=True)]
    indices = pairs[0][0].indices
    return Difference(
        column=column,
        first=_percent(a),
        second=_percent(b),
        difference=difference,
        low=low,
        high=high,
        p=p,
        only_first=[index for index, more in zip(indices, better, strict=True) if more > 0],
        only_second=[index for index, more in zip(indices, better, strict=True) if more < 0],
    )


def tested(
    column: str, pairs: Sequence[tuple[Record, Record]], level: float = LEVEL
) -> tuple[float, float | None, float | None, float | None]:
    """A column's mean difference in points, its interval and p: for tables and comparisons alike."""
    if len(pairs) > 1:
        return paired_t([100 * (sum(a.column(column)) - sum(b.column(column))) / a.n for a, b in pairs], level)
    (a, b) = (record.column(column) for record in pairs[0])
    difference, low, high = (100 * points for points in paired_difference(a, b, level))
    return difference, low, high, mcnemar(a, b)


def _percent(side: Sequence[Sequence[bool]]) -> float:
    return 100 * sum(map(sum, side)) / sum(map(len, side))


def report(first: Sequence[Record], second: Sequence[Record], images: bool = False, mixed: bool = False) -> str:
    """The comparison as text: a table, what its numbers are, red flags, and where asked the images that differ."""
    differences = compare(first, second, mixed)
    radii = ", ".join(f"{norm} {radius}" for norm, radius in first[0].radii().items())
    lines = [
        *(f"{name}: {', '.join(r.name for r in side)}" for name, side in (("A", first), ("B", second))),
        "",
        tabulate([_row(d) for d in differences], headers="keys", tablefmt="github", disable_numparse=True),
        "",
        f"{first[0].n} {first[0].split} images of {first[0].dataset}; percent; radii {radii}. {_method(len(first))}",
        *_red_flags(first, second),
        *(_images(differences) if images else []),
    ]
    return "\n".join(lines) + "\n"


def _method(seeds: int) -> str:
    """What interval and p are, and what they concern."""
    if seeds == 1:
        return (
            "Interval: score interval of a paired difference (Tango 1998). p: exact McNemar, two-sided. Both concern "
            "these two trained classifiers: other training seeds give other differences. only: images that one "
            "classifies correctly and the other does not."
        )
    return (
        f"Interval and p: paired t over {seeds} seeds. only: images that more of one side's classifiers classify "
        "correctly than of the other's."
    )


def _images(differences: Sequence[Difference]) -> list[str]:
    sides = [(d.column, name, only) for d in differences for name, only in (("A", d.only_first), ("B", d.only_second))]
    return [f"{column}, only {name}: {', '.join(map(str, only))}" for column, name, only in sides if only]


def _row(d: Difference) -> dict[str, object]:
    return {
        "": d.column,
        "A": f"{d.first:.1f}",
        "B": f"{d.second:.1f}",
        "A - B": f"{d.difference:+.1f}",
        "95 % interval": "–" if d.low is None else f"{d.low:+.1f} to {d.high:+.1f}",
        "only A": len(d.only_first),
        "only B": len(d.only_second),
        "p": "–" if d.p is None else f"{d.p:.3g}",
    }


def _red_flags(first: Sequence[Record], second: Sequence[Record]) -> list[str]:
    codes = {str(r.provenance.get("code")) for r in [*first, *second]}
    other = ["Red flag: the attacks were computed by different code."] if len(codes) > 1 else []
    suspects = [
        Suspect(name if len(side) == 1 else f"{name} seed {record.seed}", record)
        for name, side in (("A", first), ("B", second))
        for record in side
    ]
    return other + [f"Red flag of {', '.join(who)}: {flag}" for flag, who in collected(suspects).items()]
