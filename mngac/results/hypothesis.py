"""Differences of unions between methods, paired by training seed, and what they show. Loads without torch.

For each pair a paired t-test (of one seed McNemar's, over its images), Holm's correction over an entry's pairs; with a
margin, equivalence by two one-sided tests (Schuirmann 1987), each pair for itself: the 90 % interval within the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mngac.params.hypotheses import Hypothesis, Pair
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results.compare import tested
from mngac.results.records import Record
from mngac.results.rows import Row, collect, common_seeds
from mngac.results.statistics import detectable, holm, spread

SIGNIFICANCE = 0.05
"""Of the tests."""
BOTH_SIDES = 1 - 2 * SIGNIFICANCE
"""Of the interval that has to lie within the margin."""
POWER = 0.8
OPEN = "open"


@dataclass(frozen=True)
class Difference:
    """A column's difference in points, method minus the other, with its 95 % and 90 % intervals, None where unknown."""

    centre: float
    low: float | None
    high: float | None
    inner_low: float | None
    inner_high: float | None
    p: float | None


@dataclass(frozen=True)
class Tested:
    """One pair on a data set."""

    pair: Pair
    rows: tuple[Row, Row]
    """Their records of the seeds that both have."""
    seeds: list[int]
    """That both have."""
    by_seed: list[float]
    """Differences of the union in points."""
    columns: dict[str, Difference]
    """By column; empty without a seed in common."""
    p: float | None
    """Of the union, corrected for the entry's other pairs."""
    verdict: str
    """higher, lower, no difference, higher (or lower) within the margin, open; empty without a seed in common."""

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the union's differences over seeds, in points."""
        return spread(self.by_seed)[1] if self.by_seed else None

    @property
    def detectable(self) -> float | None:
        """The difference in points that so many seeds find in four of five such studies; None for one seed."""
        return detectable(self.deviation, len(self.seeds), SIGNIFICANCE, POWER) if self.deviation else None


@dataclass(frozen=True)
class Findings:
    """An entry's pairs on a data set."""

    dataset: str
    hypothesis: Hypothesis
    pairs: list[Tested]

    @property
    def rows(self) -> list[Row]:
        """Of all pairs, each once."""
        return list({row.method: row for each in self.pairs for row in each.rows}.values())

    @property
    def records(self) -> list[Record]:
        """All that it rests on."""
        return [record for row in self.rows for record in row.records]


def found(params: Params, dataset: str, name: str) -> Findings:
    """What an entry's pairs show on a data set.

    Raises:
        RecordError: for records that may not stand together.
    """
    hypothesis = params.hypotheses[name]
    methods = list(dict.fromkeys(m for pair in hypothesis.pairs for m in (pair.method, pair.against)))
    rows = {row.method: row for row in collect(params, dataset, methods, hypothesis.suite, hypothesis.profile)}
    sides = [(pair, rows[pair.method], rows[pair.against]) for pair in hypothesis.pairs]
    measured = [(pair, both, _columns(*both)) for pair, *sides in sides if (both := _of_common_seeds(*sides))]
    raw = {i: each["union"].p for i, (*_, each) in enumerate(measured) if each}
    corrected = dict(zip(raw, holm(list(raw.values())), strict=True))
    pairs = [
        _tested(pair, both, columns, corrected.get(i), hypothesis.equivalence)
        for i, (pair, both, columns) in enumerate(measured)
    ]
    return Findings(dataset, hypothesis, pairs)


def _of_common_seeds(one: Row, other: Row) -> tuple[Row, Row]:
    pairs = common_seeds(one, other)
    return Row(one.method, [a for a, _ in pairs]), Row(other.method, [b for _, b in pairs])


def _columns(one: Row, other: Row) -> dict[str, Difference]:
    pairs = common_seeds(one, other)
    names = ["clean", *NORMS, "union"] if one.shares("union") and other.shares("union") else []
    return {column: _difference(column, pairs) for column in names if pairs}


def _difference(column: str, pairs: Sequence[tuple[Record, Record]]) -> Difference:
    centre, low, high, p = tested(column, pairs)
    _, inner_low, inner_high, _ = tested(column, pairs, BOTH_SIDES)
    return Difference(centre, low, high, inner_low, inner_high, p)


def _tested(
    pair: Pair, rows: tuple[Row, Row], columns: dict[str, Difference], p: float | None, margin: float | None
) -> Tested:
    common = common_seeds(*rows) if columns else []
    by_seed = [100 * (sum(a.union()) - sum(b.union())) / a.n for a, b in common]
    verdict = said(columns["union"], p, margin) if columns else ""
    return Tested(pair, rows, [a.seed for a, _ in common], by_seed, columns, p, verdict)


def said(difference: Difference, p: float | None, margin: float | None) -> str:
    """What a difference shows: its direction where p is below 5 %, none with its 90 % interval within the margin."""
    low, high = difference.inner_low, difference.inner_high
    within = margin is not None and low is not None and high is not None and -margin < low <= high < margin
    if p is None or p >= SIGNIFICANCE:
        return "no difference" if within else OPEN
    return ("higher" if difference.centre > 0 else "lower") + (" within the margin" if within else "")
