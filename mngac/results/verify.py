"""One's own run held against committed records of several seeds. Loads without torch.

Another processor rounds otherwise, so that the same seed trains another classifier there, as another seed would: what
seeds explain, processors do.
"""

from __future__ import annotations

import itertools
import math
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tabulate import tabulate

from mngac.params.errors import shown
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results import wording
from mngac.results.intervals import LEVEL
from mngac.results.printed import wrapped
from mngac.results.records import Record, RecordError, read
from mngac.results.rows import Row, of_seeds
from mngac.results.statistics import spread
from mngac.results.together import MEASUREMENT, check_alike

COLUMNS = ("clean", *NORMS, "union")
ALL = "mean of the rows"
ALIKE = tuple(fact for fact in MEASUREMENT if fact != "attack code")


@dataclass(frozen=True)
class Cell:
    """A column of a row: this run's accuracy less the mean of the known ones, and how far seeds explain, in points."""

    row: str
    column: str
    difference: float
    explained: float

    @property
    def outside(self) -> bool:
        return abs(self.difference) > self.explained


def known_in(source: str | Path) -> dict[tuple[str, str, str], list[Record]]:
    """Records of a folder, or of a tar of them, by data set, suite and profile.

    Raises:
        RecordError: where there are none.
    """
    found: dict[tuple[str, str, str], list[Record]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if Path(source).is_file():
            try:
                with tarfile.open(source) as tar:
                    tar.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise RecordError(f"{shown(source)}: found {error}; allowed: a folder or a tar of records") from None
        for path in sorted(Path(folder if Path(source).is_file() else source).rglob("*.json")):
            record = read(path)
            found.setdefault((record.dataset, record.suite, record.profile), []).append(record)
    if not found:
        raise RecordError(f"{shown(source)}: found no record; allowed: a folder or a tar of records")
    return found


def cells(own: Sequence[Row], known: Mapping[str, Row]) -> list[Cell]:
    """Every column of the rows that both have, and of their mean.

    The difference of a mean over own seeds from that over known ones, in the known ones' deviation, is Student's t. Its
    interval is Bonferroni's over all cells: of runs that differ by their seeds alone, 95 % lie within in every cell.

    Raises:
        RecordError: where a row has fewer than two known seeds.
    """
    from scipy.stats import t

    theirs = [known[row.method] for row in own]
    sides = {row.method: ([row], [other]) for row, other in zip(own, theirs, strict=True)}
    if len(own) > 1:
        sides[ALL] = (list(own), theirs)
    level = 1 - (1 - LEVEL) / 2 / (len(COLUMNS) * len(sides))
    made = []
    for name, column in itertools.product(sides, COLUMNS):
        mine, others = (_by_seed(rows, column) for rows in sides[name])
        centre, deviation = spread(others) if others else (0.0, None)
        if deviation is None:
            raise RecordError(f"{name}: found {len(others)} known seed(s) that all of it has; allowed: two or more")
        error = deviation * math.sqrt(1 / len(mine) + 1 / len(others))
        made.append(Cell(name, column, mean(mine) - centre, float(t.ppf(level, len(others) - 1)) * error))
    return made


def _by_seed(rows: Sequence[Row], column: str) -> list[float]:
    """The mean of the rows' shares in percent, one value a seed that all of them have."""
    shares = [dict(zip((r.seed for r in row.records), row.shares(column), strict=True)) for row in rows]
    seeds = set.intersection(*(set(row) for row in shares))
    return [mean(row[seed] for row in shares) for seed in sorted(seeds)]


def verify(params: Params, source: str | Path) -> tuple[str, list[str]]:
    """The run's records against those of a folder or a tar: a table for 100 columns, and what lies outside, by name.

    Raises:
        RecordError: where the run has no record of the known data sets, suites and profiles, or one that was measured
            otherwise than they were; attacks by other code are admitted.
    """
    texts: list[str] = []
    outside: list[str] = []
    for (dataset, suite, profile), records in known_in(source).items():
        known = {m: Row(m, [r for r in records if r.method == m]) for m in dict.fromkeys(r.method for r in records)}
        rows = [Row(method, of_seeds(params, dataset, method, suite, profile)) for method in known]
        own = [row for row in rows if row.records]
        if not own:
            continue
        mine = [record for row in own for record in row.records]
        check_alike([*records, *mine], wanted=ALIKE)
        made = cells(own, known)
        beyond = [f"{dataset} {cell.row} {cell.column}" for cell in made if cell.outside]
        outside += beyond
        lines = [
            [name, *(_told(cell) for cell in made if cell.row == name)] for name in dict.fromkeys(c.row for c in made)
        ]
        missing = [row.method for row in rows if not row.records]
        about = [
            f"{dataset}, {suite}, {profile}, {wording.images(mine)}: accuracy of this run, {_seeds(mine)}, less the "
            f"mean of {Path(source).name}, {_seeds(records)}, in points; ± what other seeds, and so other processors, "
            f"explain (95 %, all {len(made)} cells together).",
            *([f"Not in this run: {', '.join(missing)}."] if missing else []),
            f"OUTSIDE: {', '.join(beyond)}." if beyond else "All within.",
        ]
        table = tabulate(lines, ["method", *COLUMNS], tablefmt="github", disable_numparse=True)
        texts.append(f"{table}\n\n{wrapped(' '.join(about))}\n")
    if not texts:
        raise RecordError(f"{shown(str(source))}: found no record of this run to hold against it; run: mngac status")
    return "\n".join(texts), outside


def _seeds(records: Sequence[Record]) -> str:
    seeds = {record.seed for record in records}
    return f"seed{'s' if len(seeds) > 1 else ''} {wording.ranges(sorted(seeds))}"


def _told(cell: Cell) -> str:
    return f"{cell.difference:+.1f} ±{cell.explained:.1f}{' !' if cell.outside else ''}"
