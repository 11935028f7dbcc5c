"""One's own run held against known records of several seeds: within what seeds explain, or not.

Another processor rounds otherwise, so that the same seed trains another classifier there, as another seed would: what
seeds explain, processors do. Loads without torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from mngac.data.archives import entries
from mngac.params.errors import shown
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results import wording
from mngac.results.intervals import LEVEL
from mngac.results.json_file import MOST_BYTES
from mngac.results.printed import DASH, Printed, markdown
from mngac.results.records import Record, RecordError, read
from mngac.results.rows import Row, of_seeds
from mngac.results.statistics import spread
from mngac.results.together import MEASUREMENT, check_alike

COLUMNS = ("clean", *NORMS, "union")
ALL = "mean of the rows"
ALIKE = tuple(fact for fact in MEASUREMENT if fact != "attack code")


@dataclass(frozen=True)
class Cell:
    """A column of a row: its shares in percent, one a seed, of this run and of known ones; empty where unknown."""

    row: str
    column: str
    own: list[float]
    known: list[float]

    @property
    def difference(self) -> float:
        """This run's mean less the known one, in points."""
        return mean(self.own) - mean(self.known)

    @property
    def judged(self) -> bool:
        """Whether there is something to hold against something that varies."""
        return bool(self.own) and len(self.known) > 1 and bool(spread(self.known)[1])

    def explained(self, cells: int) -> float:
        """How far the means of seeds lie apart in points: 95 % lie nearer in every one of so many cells (Bonferroni).

        The mean of new seeds less that of the known ones, in the known ones' deviation, is Student's t.
        """
        from scipy.stats import t

        error = (spread(self.known)[1] or 0.0) * math.sqrt(1 / len(self.own) + 1 / len(self.known))
        return float(t.ppf(1 - (1 - LEVEL) / 2 / cells, len(self.known) - 1)) * error


@dataclass(frozen=True)
class Held:
    """What is held against what: a run's rows of a data set, suite and profile, and the known ones' other seeds."""

    where: tuple[str, str, str]
    own: list[Row]
    known: list[Row]
    missing: list[str]
    """Known rows that this run lacks."""

    @functools.cached_property
    def cells(self) -> list[Cell]:
        """Row by row, and last the mean of the rows over the seeds that all of them have."""
        sides = [(own.method, [own], [known]) for own, known in zip(self.own, self.known, strict=True)]
        sides += [(ALL, self.own, self.known)] if len(sides) > 1 else []
        return [Cell(n, column, _by_seed(a, column), _by_seed(b, column)) for n, a, b in sides for column in COLUMNS]


def _by_seed(rows: Sequence[Row], column: str) -> list[float]:
    """The mean of the rows' shares, one value a seed that all of them have; empty where a row has no such column."""
    shares = [dict(zip((r.seed for r in row.records), row.shares(column), strict=False)) for row in rows]
    seeds = set.intersection(*(set(row) for row in shares))
    return [mean(row[seed] for row in shares) for seed in sorted(seeds)]


def known_in(source: str | Path) -> dict[tuple[str, str, str], list[Record]]:
    """Records of a folder, or of a tar or zip of them, by data set, suite and profile. Nothing is unpacked.

    Raises:
        RecordError: where there are none, or two are of one row and seed.
        DataError: for a source that is missing, broken or dangerous.
    """
    found: dict[tuple[str, str, str], list[Record]] = {}
    for entry in entries(source):
        if entry.name.endswith(".json"):
            record = read(entry.place, entry.read(MOST_BYTES))
            others = found.setdefault((record.dataset, record.suite, record.profile), [])
            if any((record.method, record.seed) == (other.method, other.seed) for other in others):
                raise RecordError(f"{entry.place}: found a second record of {record.name}; allowed: one")
            others.append(record)
    if not found:
        raise RecordError(f"{shown(str(source))}: found no record; allowed: a folder, tar or zip of records")
    return found


def held(params: Params, records: Mapping[tuple[str, str, str], Sequence[Record]]) -> list[Held]:
    """The run's rows beside the known ones, where it has some. Seeds that both have tell nothing, and are left out.

    Raises:
        RecordError: where some were measured otherwise than others; attacks by other code are admitted.
    """
    made = []
    for (dataset, suite, profile), known in records.items():
        methods = list(dict.fromkeys(record.method for record in known))
        rows = {method: of_seeds(params, dataset, method, suite, profile) for method in methods}
        own = [Row(method, of) for method, of in rows.items() if of]
        others = [Row(r.method, [k for k in known if k.method == r.method and k.seed not in _seeds(r)]) for r in own]
        check_alike([record for row in (*own, *others) for record in row.records], wanted=ALIKE)
        missing = [method for method, of in rows.items() if not of]
        made += [Held((dataset, suite, profile), own, others, missing)] if own else []
    return made


def _seeds(row: Row) -> set[int]:
    return {record.seed for record in row.records}


def verify(params: Params, source: str | Path) -> tuple[str, list[str]]:
    """The run's records against those of a folder or an archive: Markdown, and what seeds do not explain, by name.

    Raises:
        RecordError: where the run has no record of the known rows, and as for `known_in` and `held`.
    """
    tables = held(params, known_in(source))
    if not tables:
        raise RecordError(f"{shown(str(source))}: found no record of this run to hold against it; run: mngac status")
    judged = [(each, cell) for each in tables for cell in each.cells if cell.judged]
    if not judged:
        raise RecordError(f"{shown(str(source))}: found no two other seeds of a row of this run; allowed: some")
    outside = [(each, cell) for each, cell in judged if abs(cell.difference) > cell.explained(len(judged))]
    printed = []
    for each in tables:
        rows: dict[str, dict[str, str]] = {}
        for cell in each.cells:
            told = _told(cell, len(judged), (each, cell) in outside)
            rows.setdefault(cell.row, {"method": cell.row})[cell.column] = told
        beyond = [f"{cell.row} {cell.column}" for of, cell in outside if of is each]
        caption = _caption(each, Path(source).name, len(judged), beyond)
        printed.append(Printed(f"This run, less what is known: {', '.join(each.where)}", list(rows.values()), caption))
    return markdown(printed), [f"{each.where[0]} {cell.row} {cell.column}" for each, cell in outside]


def _told(cell: Cell, cells: int, outside: bool) -> str:
    if not cell.judged:
        return DASH
    return f"{cell.difference:+.1f} ±{cell.explained(cells):.1f}{' !' if outside else ''}"


def _caption(held: Held, name: str, cells: int, outside: Sequence[str]) -> str:
    own, known = ([record for row in rows for record in row.records] for rows in (held.own, held.known))
    lines = [
        f"Accuracy on {wording.images(own)}, {wording.seeds(own)}, less the mean of {name}, {wording.seeds(known)}, in "
        f"points; ± what other seeds, and so other processors, explain: 95 % lie nearer in all {cells} cells together.",
        f"{DASH}: not measured on both sides, or alike for all known seeds.",
        *([f"Not in this run: {', '.join(held.missing)}."] if held.missing else []),
        *(["Attacked by different code."] if len({r.provenance.get("code") for r in (*own, *known)}) > 1 else []),
        f"OUTSIDE: {', '.join(outside)}." if outside else "All within.",
    ]
    return " ".join(lines)
