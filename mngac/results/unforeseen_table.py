"""Records of unforeseen attacks -> their table: a column an attack, and the union of the run's first suite beside them.

None of these attacks is ever a part of a union. Loads without torch.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mngac.params.sections import Params
from mngac.pipeline.jobs import Context
from mngac.pipeline.paths import UNFORESEEN, unforeseen_path
from mngac.results import printed, unforeseen, wording
from mngac.results.intervals import wilson
from mngac.results.printed import DASH, Printed, files_of
from mngac.results.records import RecordError
from mngac.results.rows import Row, flags_by_row, of_seeds
from mngac.results.statistics import spread
from mngac.results.together import check_same
from mngac.results.unforeseen import UnforeseenAttackRecord, UnforeseenRecord

Bounds = tuple[float, float, float]
"""Mean, low and high in percent."""


@dataclass(frozen=True)
class UnforeseenRow:
    """A method on a data set: its records, one a seed, and those of the run's first suite."""

    method: str
    records: list[UnforeseenRecord]
    foreseen: Row

    def clean(self) -> Bounds | None:
        """Accuracy without attack, on the record's images."""
        if not self.records:
            return None
        shares = [100 * record.clean.count("1") / record.n for record in self.records]
        low, high = wilson(self.records[0].clean.count("1"), self.records[0].n)
        return _bounds(shares, (100 * low, 100 * high))

    def under(self, attack: str) -> Bounds | None:
        """Accuracy under an attack; None where it was not measured."""
        found = [one for record in self.records for one in record.attacks if one.name == attack and one.columns]
        return _bounds([one.share for one in found if one.share is not None], found[0].interval) if found else None


def _bounds(shares: Sequence[float], interval: tuple[float, float] | None) -> Bounds | None:
    """Over images for one seed, +- a standard deviation for several."""
    centre, deviation = spread(shares)
    if deviation is not None:
        return centre, centre - deviation, centre + deviation
    return (centre, *interval) if interval else None


def rows_of(params: Params, dataset: str, name: str, profile: str) -> list[UnforeseenRow]:
    """A row a method of the run, with the records that exist.

    Raises:
        RecordError: where they may not stand together, or a record is of another job than its path says.
    """
    suite, made = params.run.suites[0], []
    for method in params.run.all_methods:
        wild = dict(dataset=dataset, method=method, unforeseen=name, profile=profile)
        paths = [unforeseen_path({**wild, "seed": str(seed)}) for seed in params.run.seeds]
        records = [_read(path) for path in filter(os.path.exists, paths)]
        foreseen = Row(method, of_seeds(params, dataset, method, suite, profile))
        made.append(UnforeseenRow(method, records, foreseen))
    known = [(record.name, _facts(record)) for row in made for record in row.records]
    check_same(known, "attack them anew", {"attack code": (params.run.mixed, "run.mixed: true")})
    return made


def _read(path: str) -> UnforeseenRecord:
    record = unforeseen.read(path)
    said = {key: str(getattr(record, key)) for key in ("dataset", "method", "seed", "unforeseen", "profile")}
    if unforeseen_path(said) != path:
        raise RecordError(f"{path}: found the record of {record.name}; allowed: its own; attack it anew")
    return record


def _facts(record: UnforeseenRecord) -> dict[str, Any]:
    """What all records of a table must agree in."""
    return {
        "images": (record.split, record.indices),
        "attacks": [(one.name, one.attack, one.budget, one.n) for one in record.attacks],
        "parameters": record.provenance.get("params"),
        "attack code": record.provenance.get("code"),
    }


def _attacks(rows: Sequence[UnforeseenRow]) -> list[UnforeseenAttackRecord]:
    """The attacks of the rows' records, which have the same."""
    return next((record.attacks for row in rows for record in row.records), [])


def _number(bounds: Bounds | None) -> str:
    return DASH if bounds is None else f"{bounds[0]:.1f} ±{(bounds[2] - bounds[1]) / 2:.1f}"


def _cells(row: UnforeseenRow, attacks: Sequence[UnforeseenAttackRecord], suite: str) -> dict[str, str]:
    """A row as printed: header -> text."""
    under = {f"{one.name}: {one.budget}": _number(row.under(one.name)) for one in attacks}
    beside = {f"beside them: union, {suite}": _number(row.foreseen.bounds("union"))}
    return {"method": row.method, "clean": _number(row.clean()), **under, **beside}


def _caption(rows: Sequence[UnforeseenRow], suite: str, flags: Sequence[str]) -> str:
    """What the numbers are, from the records that they are made of, and what is doubtful about them."""
    records = [record for row in rows for record in row.records]
    if not records:
        return "No record yet."
    first, several = records[0], max(len(row.records) for row in rows) > 1
    seeds = sorted({str(record.seed) for record in records})
    rejected = sum(one.rejected for record in records for one in record.attacks)
    means = [one for one in first.attacks if len(one.columns) > 1]
    union = next((r for row in rows for r in row.foreseen.records), None)
    lines = [
        f"Accuracy in percent on {first.n} {first.split} images under attacks that no row was trained against, each by "
        "itself; none of them is a part of union.",
        *(
            f"{one.name}: mean over {len(one.columns)} sets, a corruption at a severity each, of {one.n} images; clean "
            "passes, no worst case."
            for one in means
        ),
        "±: standard deviation over seeds; of a row with one seed the 95 % interval over images (Wilson)."
        if several
        else f"±: 95 % interval over images (Wilson{'; of a mean normal' if means else ''}).",
        f"Seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}. Commit {wording.commits(records)}.",
    ]
    if union:
        lines.insert(1, f"The union of the suite {suite}, over {union.n} {union.split} images, stands beside them.")
    if rejected:
        lines.append(f"{rejected} outputs of attacks were misclassified but not valid, and count as not broken.")
    if flags:
        lines.append(f"Red flags: {'; '.join(flags)}.")
    return " ".join(lines)


@dataclass(frozen=True)
class Part:
    """The rows of a data set under a profile."""

    dataset: str
    profile: str
    rows: list[UnforeseenRow]


def parts(params: Params, name: str) -> list[Part]:
    """Those of the run, for an entry: they never mix in one table."""
    return [
        Part(dataset, profile, rows_of(params, dataset, name, profile))
        for dataset in params.run.datasets
        for profile in params.run.profiles
    ]


def as_printed(part: Part, name: str, suite: str) -> Printed:
    """The table of a part, with a column an attack, and the union of the suite beside them."""
    attacks = _attacks(part.rows)
    title = f"Unforeseen attacks: {part.dataset}, {name}, {part.profile}"
    flags = flags_by_row([(row.method, record.seed, record.flags) for row in part.rows for record in row.records])
    cells = [_cells(row, attacks, suite) for row in part.rows]
    files = [files_of(UNFORESEEN, row.records) for row in part.rows]
    return Printed(title, cells, _caption(part.rows, suite, flags), flags=flags, files=files)


COLUMNS = ("dataset", "unforeseen", "profile", "method", "column", "budget", "n", "seeds", "share", "low", "high")
"""Of the CSV."""


def comma_separated(made: Sequence[Part], name: str) -> str:
    """One line a row and attack, with exact bounds, n and seeds; severities of a mean, without bounds, too."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for part in made:
        where = {"dataset": part.dataset, "unforeseen": name, "profile": part.profile}
        for row in part.rows:
            for line in _lines(row):
                numbers = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
                writer.writerow({**where, "method": row.method, **numbers})
    return out.getvalue()


def _lines(row: UnforeseenRow) -> list[dict[str, Any]]:
    """What the CSV says of a row: nothing where nothing was measured."""
    attacks, lines = _attacks([row]), []
    if row.records:
        lines.append(_line(row.clean(), column="clean", n=row.records[0].n, seeds=len(row.records)))
    for one in attacks:
        about = {"budget": one.budget, "n": one.n, "seeds": len(row.records)}
        lines.append(_line(row.under(one.name), column=one.name, **about))
        for severity in one.severities:
            every = [a.severities[severity] for record in row.records for a in record.attacks if a.name == one.name]
            lines.append({"column": f"{one.name}, severity {severity}", **about, "share": spread(every)[0]})
    suite = row.foreseen.records
    lines.append(_line(row.foreseen.bounds("union"), column="union", n=suite[0].n if suite else 0, seeds=len(suite)))
    return [line for line in lines if "share" in line]


def _line(bounds: Bounds | None, **about: Any) -> dict[str, Any]:
    return {**about, **dict(zip(("share", "low", "high"), bounds or (), strict=False))}


def run(context: Context) -> None:
    """Writes the table in every form."""
    params, name = context.job.params, context.job.wildcards["unforeseen"]
    made = parts(params, name)
    tables = [as_printed(part, name, params.run.suites[0]) for part in made]
    printed.write(context.outputs, "unforeseen", tables, comma_separated(made, name))
    context.log.line(f"unforeseen_table: {name}, {sum(len(part.rows) for part in made)} rows")
