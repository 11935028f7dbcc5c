"""Two classifiers on the same images: paired differences, their intervals, and where they differ. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from mngac.records import Record, RecordError
from mngac.statistics import bootstrap_difference, mcnemar, paired_difference


@dataclass(frozen=True)
class Difference:
    """One column: shares right in percent on either side, first minus second with its 95 % interval in points.

    `p` is McNemar's exact p-value for one record a side, else None. `only_first` and `only_second` are the dataset's
    indices of the images that the majority of one side's records has right, and none of the other's.
    """

    column: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float | None
    only_first: list[int]
    only_second: list[int]


def compare(first: Sequence[Record], second: Sequence[Record]) -> list[Difference]:
    """Clean accuracy, each norm attacked, and the union.

    One record a side: the score interval of a paired difference (Tango 1998) and the exact McNemar p. Several: a
    percentile bootstrap over seeds and images.

    Raises:
        RecordError: for records of other images, radii or suites, which can't be compared.
    """
    if not first or not second:
        raise RecordError("nothing to compare; allowed: at least one record a side")
    check_comparable([*first, *second])
    return [_difference(column, first, second) for column in ["clean", *first[0].norms(), "union"]]


def check_comparable(records: Sequence[Record]) -> None:
    """Refuses records of different data sets, splits, images, suites or radii."""
    values: dict[str, list[Any]] = {
        "data set": [r.dataset for r in records],
        "split": [r.split for r in records],
        "images": [r.indices for r in records],
        "suite": [r.suite for r in records],
        "attacks": [r.settings for r in records],
        "radii": [{norm: r.radii()[norm] for norm in sorted(r.norms())} for r in records],
    }
    for what, found in values.items():
        for record, value in zip(records, found, strict=True):
            if value != found[0]:
                raise RecordError(
                    f"{who(record)} and {who(records[0])} differ in their {what}; allowed: the same for all"
                )


def who(record: Record) -> str:
    """The record in words."""
    return f"{record.dataset}/{record.method}/seed{record.seed}/{record.suite}-{record.profile}"


def _difference(column: str, first: Sequence[Record], second: Sequence[Record]) -> Difference:
    a, b = [r.column(column) for r in first], [r.column(column) for r in second]
    single = len(a) == len(b) == 1
    difference, low, high = paired_difference(a[0], b[0]) if single else bootstrap_difference(a, b)
    return Difference(
        column=column,
        first=_percent(a),
        second=_percent(b),
        difference=100 * difference,
        low=100 * low,
        high=100 * high,
        p=mcnemar(a[0], b[0]) if single else None,
        only_first=_only(a, b, first[0].indices),
        only_second=_only(b, a, first[0].indices),
    )


def _percent(side: Sequence[Sequence[bool]]) -> float:
    return 100 * sum(map(sum, side)) / sum(map(len, side))


def _only(side: Sequence[Sequence[bool]], other: Sequence[Sequence[bool]], indices: Sequence[int]) -> list[int]:
    mine, theirs = list(zip(*side, strict=True)), list(zip(*other, strict=True))
    return [index for index, a, b in zip(indices, mine, theirs, strict=True) if 2 * sum(a) > len(a) and not any(b)]


def report(first: Sequence[Record], second: Sequence[Record]) -> str:
    """The comparison as text: a table, what its numbers are, and the images on which the sides differ."""
    found = compare(first, second)
    single = len(first) == len(second) == 1
    interval = (
        "Interval: score interval of a paired difference (Tango 1998). p: exact McNemar, two-sided."
        if single
        else f"Interval: bootstrap over {len(first)} and {len(second)} seeds and over images (10,000 draws). "
        "only A: the majority of A's records right, none of B's."
    )
    radii = ", ".join(f"{norm} {radius}" for norm, radius in first[0].radii().items())
    lines = [
        *(f"{name}: {', '.join(map(who, side))}" for name, side in (("A", first), ("B", second))),
        "",
        tabulate([_row(d) for d in found], headers="keys", tablefmt="github", disable_numparse=True),
        "",
        f"{first[0].n} {first[0].split} images of {first[0].dataset}; percent; radii {radii}. {interval}",
        *_red_flags([*first, *second]),
    ]
    for d in found:
        for name, only in (("A", d.only_first), ("B", d.only_second)):
            lines += [f"{d.column}, only {name} right: {', '.join(map(str, only))}"] if only else []
    return "\n".join(lines) + "\n"


def _row(d: Difference) -> dict[str, object]:
    return {
        "": d.column,
        "A": f"{d.first:.1f}",
        "B": f"{d.second:.1f}",
        "A - B": f"{d.difference:+.1f}",
        "95 % interval": f"{d.low:+.1f} to {d.high:+.1f}",
        "only A": len(d.only_first),
        "only B": len(d.only_second),
        "p": "–" if d.p is None else f"{d.p:.3g}",
    }


def _red_flags(found: Sequence[Record]) -> list[str]:
    codes = {str(r.provenance.get("code")) for r in found}
    other = ["Red flag: the records were made by different evaluation code."] if len(codes) > 1 else []
    return other + [f"Red flag of {who(r)}: {flag}" for r in found for flag in r.flags]
