"""Certificates -> a table in Markdown, CSV and LaTeX: between which numbers robust accuracy lies. Loads without torch.

A dash stands where no image is certified: there the lower bound says nothing, and the upper one is in the CSV alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mngac.params.sections import Params
from mngac.pipeline.jobs import Context
from mngac.pipeline.paths import CERTIFICATES, certificates_path, certificates_wildcards
from mngac.results import certificates, printed, wording
from mngac.results.certificates import UNION, Certificates
from mngac.results.intervals import wilson
from mngac.results.json_file import RecordError
from mngac.results.printed import DASH, Printed, files_of
from mngac.results.rows import flags_by_row
from mngac.results.statistics import spread
from mngac.results.together import check_same

WILDCARDS = ("dataset", "method", "seed", "certificate", "profile")
HEADER = ("dataset", "profile", "certificate", "bounds", "suite", "factor", "radius", "method", "norm", "n", "seeds")
ENDS = ("low", "certified", "attacked", "high")


@dataclass(frozen=True)
class Row:
    """A method on a data set, in the balls of a profile: its certificates, one a seed."""

    method: str
    found: list[Certificates]

    def between(self, factor: str, column: str) -> dict[str, float]:
        """In percent, means over seeds: the shares `certified` and `attacked` between which robust accuracy lies.

        And how far both may be off, `low` and `high`: with one seed the lower end of the first one's and the upper end
        of the second one's 95 % interval over images (Wilson), with several a standard deviation over seeds each.
        """
        lower = [sum(each.certified(factor, column)) for each in self.found]
        upper = [sum(each.left(factor, column)) for each in self.found]
        n = self.found[0].n
        certified, below = spread([100 * count / n for count in lower])
        attacked, above = spread([100 * count / n for count in upper])
        if below is None or above is None:
            low, high = 100 * wilson(lower[0], n)[0], 100 * wilson(upper[0], n)[1]
        else:
            low, high = certified - below, attacked + above
        return {"low": low, "certified": certified, "attacked": attacked, "high": high}

    def clean(self) -> float:
        """Accuracy without attack in percent, mean over seeds."""
        return spread([100 * each.clean.count("1") / each.n for each in self.found])[0]


def collect(params: Params, dataset: str, certificate: str, profile: str) -> list[Row]:
    """A row a method of the run; without files where none was certified yet.

    Raises:
        RecordError: for a file of another job than its path says, or one that may not stand beside the others.
    """
    rows = []
    for method in params.run.all_methods:
        wild = dict(dataset=dataset, method=method, certificate=certificate, profile=profile)
        paths = [certificates_path({**wild, "seed": str(seed)}) for seed in params.run.seeds]
        rows.append(Row(method, [_read(path) for path in paths if Path(path).exists()]))
    check_same([(each.name, _facts(each)) for row in rows for each in row.found], "certify them anew")
    return rows


def _read(path: str) -> Certificates:
    found = certificates.read(path)
    if certificates_wildcards(path) != {name: str(getattr(found, name)) for name in WILDCARDS}:
        raise RecordError(f"{path}: found the certificates of {found.name}; allowed: its own; certify it anew")
    return found


def _facts(found: Certificates) -> dict[str, object]:
    """What all files of a table must agree in."""
    own = {name: getattr(found, name) for name in ("split", "indices", "bounds", "suite", "factors")}
    return {**own, "norms": found.norms(), **{name: found.provenance.get(name) for name in ("params", "code")}}


def sections(params: Params, certificate: str) -> list[Printed]:
    """A section a data set, profile and factor."""
    made = []
    for dataset in params.run.datasets:
        for profile in params.run.profiles:
            rows = collect(params, dataset, certificate, profile)
            known = [each for row in rows for each in row.found]
            flags = flags_by_row([(row.method, each.seed, each.flags) for row in rows for each in row.found])
            for factor in known[0].factors if known else []:
                title = f"Certified: {dataset}, {certificate}, {profile}, {factor} of the radii"
                cells = [_cells(row, factor, known[0].columns()) for row in rows]
                files = [files_of(CERTIFICATES, row.found) for row in rows]
                made.append(Printed(title, cells, caption(rows, factor, flags), flags=flags, files=files))
    return made


def _cells(row: Row, factor: str, columns: Sequence[str]) -> dict[str, str]:
    if not row.found:
        return {"method": row.method, "clean": DASH, **{wording.LABELS.get(c, c): DASH for c in columns}}
    cells = {wording.LABELS.get(c, c): _cell(**row.between(factor, c)) for c in columns}
    return {"method": row.method, "clean": f"{row.clean():.1f}", **cells}


def _cell(low: float, certified: float, attacked: float, high: float) -> str:
    return f"{certified:.1f} to {attacked:.1f} [{low:.1f}, {high:.1f}]" if certified else DASH


def caption(rows: Sequence[Row], factor: str, flags: Sequence[str]) -> str:
    """What the numbers are, from the files that they are made of, and what is doubtful about their attacks."""
    found = [each for row in rows for each in row.found]
    first, seeds = found[0], sorted({each.seed for each in found})
    radii = ", ".join(f"{wording.LABELS[norm]} {float(first.radius(factor, norm)):.4g}" for norm in first.norms())
    several = max(len(row.found) for row in rows) > 1
    ends = "a standard deviation over seeds beyond each" if several else "95 % intervals over images (Wilson) of both"
    union = " Union: certified, or left, in all three balls." if UNION in first.columns() else ""
    doubts = f" Red flags of the attacks, at any of the radii: {'; '.join(flags)}." if flags else ""
    return (
        f"{first.n} {first.split} images; radii {radii} ({first.profile}); "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))}). "
        f"a to b: robust accuracy of the trained classifier on these images lies between a, what {first.bounds} "
        f"(auto_LiRPA) certifies, and b, what the attacks of suite {first.suite} leave, in percent. "
        f"{DASH}: nothing is certified. In brackets: from the lower to the upper end, {ends}.{union}{doubts}"
    )


def comma_separated(params: Params, certificate: str) -> str:
    """One line a method, factor and norm, bounds exact, those that say nothing included."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*HEADER, "clean", *ENDS], lineterminator="\n")
    writer.writeheader()
    for dataset in params.run.datasets:
        for profile in params.run.profiles:
            for row in collect(params, dataset, certificate, profile):
                writer.writerows(_lines(row))
    return out.getvalue()


def _lines(row: Row) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for first in row.found[:1]:
        about = {key: getattr(first, key) for key in ("dataset", "profile", "certificate", "bounds", "suite", "n")}
        about |= {"method": row.method, "seeds": len(row.found), "clean": round(row.clean(), 4)}
        for factor in first.factors:
            for column in first.columns():
                ends = {end: round(value, 4) for end, value in row.between(factor, column).items()}
                radius = "" if column == UNION else first.radius(factor, column)
                lines.append({**about, "factor": factor, "norm": column, "radius": radius, **ends})
    return lines


def run(context: Context) -> None:
    """Writes the table in every form."""
    params, certificate, outputs = context.job.params, context.job.wildcards["certificate"], context.outputs
    printed.write(outputs, "certified", sections(params, certificate), comma_separated(params, certificate))
    context.log.line(f"certified_table: results/tables/certified-{certificate}")
