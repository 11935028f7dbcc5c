"""Records -> rows: a method's records over seeds, its shares and intervals, and which records may stand together.

A cell is a mean over seeds in percent. Its interval is Wilson's over images for one seed, the standard deviation over
seeds for several. Loads without torch.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.pipeline.paths import record_path, record_wildcards
from mngac.results import records, red_flags
from mngac.results.compare import tested
from mngac.results.costs import in_all
from mngac.results.intervals import half_width, wilson
from mngac.results.records import Record, RecordError
from mngac.results.statistics import holm, spread
from mngac.results.together import check_alike

UNATTACKED = "†"
"""Mark of a row whose training asked for no attack."""
ADDITIONAL = "‡"
"""Mark of a row that was trained on additional images too."""
COLUMNS = ("clean", *NORMS, "union", "avg")
PAPER = Path(__file__).with_name("paper_tables.yaml")
SPREAD = Path(__file__).with_name("seed_spread.yaml")


@dataclass(frozen=True)
class Row:
    """A method on a data set: its records, one a seed."""

    method: str
    records: list[Record]

    def shares(self, column: str) -> list[float]:
        """The column in percent, one value a seed; empty where a record or its attack is missing."""
        if not self.records or not all(
            set(NORMS) <= set(r.norms()) for r in self.records if column in ("union", "avg")
        ):
            return []
        if column == "avg":
            return [sum(r.share(p) for p in NORMS) / len(NORMS) for r in self.records]
        if column in NORMS and not all(column in r.norms() for r in self.records):
            return []
        return [r.share(column) for r in self.records]

    def bounds(self, column: str) -> tuple[float, float, float] | None:
        """Mean, low and high in percent: over images for one seed, +- a standard deviation for several."""
        shares = self.shares(column)
        if not shares:
            return None
        centre, deviation = spread(shares)
        if deviation is not None:
            return centre, centre - deviation, centre + deviation
        record = self.records[0]
        if column == "avg":
            half = _half_width_of_average(record)
            return centre, max(0.0, centre - half), min(100.0, centre + half)
        low, high = wilson(sum(record.column(column)), record.n)
        return centre, 100 * low, 100 * high

    @property
    def attacked(self) -> bool | None:
        """Whether the method attacks what it trains on; None where no training says so, or nothing was trained."""
        said = [r.training["attacked"] for r in self.records if r.training.get("attacked") is not None]
        return all(said) if said else None

    @property
    def additional(self) -> int:
        """Additional images that its trainings had, at most; 0 where none says so."""
        return max((r.training.get("additional_images", 0) for r in self.records), default=0)

    @property
    def label(self) -> str:
        """The method, marked where it trains without any attack, or on additional images."""
        marks = UNATTACKED * (self.attacked is False) + ADDITIONAL * bool(self.additional)
        return f"{self.method} {marks}" if marks else self.method

    def training(self, key: str) -> float | None:
        """A number of the trainings' timing, with their starts', mean over seeds."""
        values = [in_all(r.timing.get("training", {}), key) for r in self.records]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    @property
    def start(self) -> str | None:
        """The method whose classifiers were fine-tuned; None for a method that started from random weights."""
        starts = [(r.timing.get("training", {}).get("start") or {}).get("method") for r in self.records]
        return next((start for start in starts if start), None)


def marks_told(rows: Iterable[Row]) -> list[str]:
    """What the marks of some rows mean, and which of them started from which, a sentence each."""
    rows = list(rows)
    told = [f"{UNATTACKED}: trained without any attack."] if any(row.attacked is False for row in rows) else []
    tuned = ", ".join(f"{row.method} from {row.start}" for row in rows if row.start)
    told += [f"Fine-tuned, at a cost that includes the start's: {tuned}."] if tuned else []
    more = ", ".join(f"{row.method} {row.additional:,}" for row in rows if row.additional)
    return [*told, *([f"{ADDITIONAL}: trained on additional images too ({more})."] if more else [])]


def _half_width_of_average(record: Record) -> float:
    """Normal half-width in percent of the mean over images of the share of norms withstood."""
    per_image = [sum(withstood) / len(NORMS) for withstood in zip(*(record.robust(p) for p in NORMS), strict=True)]
    centre = sum(per_image) / record.n
    variance = sum((v - centre) ** 2 for v in per_image) / max(record.n - 1, 1)
    return 100 * half_width(math.sqrt(variance / record.n))


@functools.cache
def paper_tables() -> dict[str, dict[str, list[float]]]:
    """The slides' numbers by `<dataset>_<table>` and method, columns as in COLUMNS and hours."""
    content = yaml.safe_load((PAPER).read_text())
    del content["columns"]
    return content


def paper_row(dataset: str, table: str, method: str) -> dict[str, float] | None:
    """The slides' row; SVHN has one table for what CIFAR-10 has two."""
    tables = paper_tables()
    for name in (f"{dataset}_{table}", *([dataset] if table.endswith("_perturbation") else [])):
        if method in tables.get(name, {}):
            return dict(zip((*COLUMNS, "hours"), tables[name][method], strict=True))
    return None


def of_seeds(params: Params, dataset: str, method: str, suite: str, profile: str) -> list[Record]:
    """The records of a method of the run that exist, one a seed; what an earlier run left of others is no row."""
    if method not in params.run.all_methods:
        return []
    wild = dict(dataset=dataset, method=method, suite=suite, profile=profile)
    return _existing([record_path({**wild, "seed": str(k)}) for k in params.run.seeds])


def _existing(paths: Sequence[str]) -> list[Record]:
    """The records that exist, each at the path of what it says it is.

    Raises:
        RecordError: for a record of another evaluation than its path says.
    """
    there = []
    for path in filter(os.path.exists, paths):
        record = records.read(path)
        said = {key: str(getattr(record, key)) for key in ("dataset", "method", "seed", "suite", "profile")}
        if record_wildcards(path) != said:
            raise RecordError(f"{path}: found the record of {record.name}; allowed: its own; evaluate it anew")
        there.append(record)
    return there


def flags_of(params: Params, dataset: str, rows: Sequence[Row]) -> list[str]:
    """Red flags of the rows' records, and those that show between the run's suites and profiles of one classifier.

    A line a flag, with the rows and, where they differ, the seeds that it concerns.
    """
    suspects = [
        red_flags.Suspect((row.method, record.seed), record, _of_classifier(params, dataset, row.method, record.seed))
        for row in rows
        for record in row.records
    ]
    return flags_told(suspects)


def flags_told(suspects: Sequence[red_flags.Suspect[tuple[str, int]]]) -> list[str]:
    """The red flags of records whose row and seed are known, a line a flag with those that it concerns."""
    return _told(red_flags.collected(suspects), [suspect.who for suspect in suspects])


def flags_by_row(found: Sequence[tuple[str, int, Sequence[str]]]) -> list[str]:
    """Flags by row and seed, a line a flag with those that it concerns; some rows may have none."""
    grouped = red_flags.grouped([((row, seed), flag) for row, seed, flags in found for flag in flags])
    return _told(grouped, [(row, seed) for row, seed, _ in found])


def _told(flags: Mapping[str, Sequence[tuple[str, int]]], whole: Sequence[tuple[str, int]]) -> list[str]:
    return [f"{flag} [{_concerned(who, whole)}]" for flag, who in flags.items()]


def _of_classifier(params: Params, dataset: str, method: str, seed: int) -> list[Record]:
    """The records of one classifier under all suites and profiles of the run."""
    wild = dict(dataset=dataset, method=method, seed=str(seed))
    names = product(params.run.suites, params.run.profiles)
    return _existing([record_path({**wild, "suite": suite, "profile": profile}) for suite, profile in names])


def _concerned(who: Sequence[tuple[str, int]], whole: Sequence[tuple[str, int]]) -> str:
    """Rows as a list: `all rows`, or each method, with its seeds where not all of them are meant."""
    if set(who) == set(whole):
        return "all rows"
    texts = []
    for method in dict.fromkeys(m for m, _ in who):
        meant, of_row = ([seed for m, seed in pairs if m == method] for pairs in (who, whole))
        few = "" if set(meant) == set(of_row) else f" (seed {', '.join(map(str, meant))})"
        texts.append(method + few)
    return ", ".join(texts)


def collect(params: Params, dataset: str, methods: Sequence[str], suite: str, profile: str) -> list[Row]:
    """Rows of the records that exist.

    Raises:
        RecordError: where they may not stand together.
    """
    rows = [Row(method, of_seeds(params, dataset, method, suite, profile)) for method in methods]
    check_alike([r for row in rows for r in row.records], params.run.mixed)
    return rows


def metrics(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """{method: {clean, linf, l1, l2, union, avg}} in percent, mean over seeds; absent where missing."""
    by_method: dict[str, dict[str, float]] = {}
    for row in rows:
        values = {c: round(spread(row.shares(c))[0], 4) for c in COLUMNS if row.shares(c)}
        deviation = spread(row.shares("union"))[1] if row.shares("union") else None
        if deviation is not None:
            values["union_std"] = round(deviation, 4)
        if values:
            by_method[row.method] = values
    return by_method


def p_values(rows: Sequence[Row], reference_method: str) -> dict[str, float]:
    """P-values of each row's union against the reference's, paired: those of `mngac compare`, then corrected by Holm.

    One seed in common: exact McNemar over images. Several: paired t over the seeds that both have.
    """
    reference = next((row for row in rows if row.method == reference_method and row.shares("union")), None)
    if reference is None:
        return {}
    raw: dict[str, float | None] = {}
    for row in rows:
        pairs = common_seeds(row, reference) if row is not reference and row.shares("union") else []
        if pairs:
            raw[row.method] = tested("union", pairs)[-1]
    corrected = zip(raw, holm(list(raw.values())), strict=True)
    return {method: p for method, p in corrected if p is not None}


def common_seeds(first: Row, second: Row) -> list[tuple[Record, Record]]:
    """The records of both rows, seed by seed."""
    by_seed = {r.seed: r for r in second.records}
    return [(r, by_seed[r.seed]) for r in first.records if r.seed in by_seed]


@functools.cache
def seed_spread() -> dict[str, dict[str, float | str]]:
    """By data set, by how much another training seed moves a union: measured, with its origin."""
    return yaml.safe_load((SPREAD).read_text())
