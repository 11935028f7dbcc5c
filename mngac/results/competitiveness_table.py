"""Competitiveness ratios -> a table in Markdown, CSV and LaTeX. Loads without torch.

Columns are the sets of attacks, each norm and all, with the mean and the least ratio; the CSV has each attack, too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from mngac.pipeline.paths import RECORD
from mngac.results import wording
from mngac.results.bootstrap import RESAMPLES, Bounds
from mngac.results.competitiveness import ALL, Competitiveness, Ratios, Standing, sets_of
from mngac.results.intervals import wilson
from mngac.results.printed import DASH, Printed, files_of
from mngac.results.records import Record
from mngac.results.red_flags import Suspect
from mngac.results.rows import flags_told, marks_told

ENDS = ("", "_low", "_high")
HEADER = (
    *("dataset", "suite", "space", "method", "attacks", "n", "seeds"),
    *(f"accuracy{end}" for end in ENDS),
    *(f"cr_ind_avg{end}" for end in ENDS),
    *(f"cr_ind_worst{end}" for end in ENDS),
    "weakest",
)


def section(found: Competitiveness, name: str) -> Printed:
    """A data set's part of the table."""
    rows = found.rows[found.space.profiles[0]]
    printed = [
        {"method": row.label} | _cells(found, standing) for row, standing in zip(rows, found.standings, strict=True)
    ]
    title = f"Competitiveness ratio: {found.dataset}, {found.space.suite}, {name}"
    of_profiles = zip(*found.rows.values(), strict=True)
    files = [files_of(RECORD, (record for row in same for record in row.records)) for same in of_profiles]
    return Printed(title, printed, caption(found), files=files)


def shown_sets(found: Competitiveness) -> list[str]:
    """The sets of more than one attack: each norm, and all."""
    alone = {attack.name for attack in found.attacks}
    return [key for key in sets_of(found.attacks) if key not in alone]


def _cells(found: Competitiveness, standing: Standing) -> dict[str, str]:
    cells: dict[str, str] = {}
    for key in shown_sets(found):
        label, ratios = wording.LABELS.get(key, key), standing.ratios[key]
        cells[f"{label}: avg"] = _number(ratios.average, standing.seeds)
        cells[f"{label}: worst"] = _number(ratios.worst, standing.seeds)
    return {**cells, "weakest attack": _spelt(standing.ratios[ALL].weakest) or DASH}


def _number(bounds: Bounds | None, seeds: int) -> str:
    if bounds is None:
        return DASH
    centre, low, high = bounds
    return f"{centre:.1f} ±{high - centre:.1f}" if seeds > 1 else f"{centre:.1f} ({low:.1f} to {high:.1f})"


def _spelt(attack: str) -> str:
    """An attack's name as it is printed: `l_1 half`."""
    norm, _, profile = attack.partition(" ")
    return f"{wording.LABELS.get(norm, norm)} {profile}".strip()


def caption(found: Competitiveness) -> str:
    """What the numbers are, from the records that they are made of, and what is doubtful about them."""
    records = found.records
    if not records:
        return f"No record of suite {found.space.suite} yet."
    lines = [
        f"{wording.images(records)}; {wording.held_out(records)}{wording.suites(records)}; radii {_radii(found)}; "
        f"{wording.seeds(records)}.",
        "Competitiveness ratio: robust accuracy over that of the method trained against the attack alone, in percent; "
        "avg: mean over the attacks (CR_ind-avg), worst: the least (CR_ind-worst) of MultiRobustBench "
        f"(arXiv 2302.10980). An attack: a norm at a radius. Denominators: {_denominators(found)}.",
        uncertainty(found),
        f"Trained on {wording.trained_on(records)}. Commit {wording.commits(records)}.",
    ]
    if found.undefined:
        names = ", ".join(map(_spelt, found.undefined))
        lines.append(f"{DASH}: no ratio, since the specialist holds no image against {names}.")
    if any(
        each.seeds == 1 and ratios.worst == (0, 0, 0) for each in found.standings for ratios in each.ratios.values()
    ):
        most = 100 * wilson(0, records[0].n)[1]
        lines.append(
            f"0.0 to 0.0: no image is held, of which a bootstrap has no width; Wilson's limit is {most:.1f} % of them."
        )
    lines += marks_told(found.rows[found.space.profiles[0]])
    flags = _flags(found)
    return " ".join([*lines, *([f"Red flags: {'; '.join(flags)}."] if flags else [])])


def _radii(found: Competitiveness) -> str:
    records = {p: [r for row in rows for r in row.records] for p, rows in found.rows.items()}
    return "; ".join(f"{profile}: {wording.radii(each)}" for profile, each in records.items())


def _denominators(found: Competitiveness) -> str:
    return ", ".join(f"{_spelt(attack.name)}: {attack.specialist}" for attack in found.attacks)


def uncertainty(found: Competitiveness) -> str:
    """What the intervals are: over images for one seed, over seeds for several."""
    single = [standing.method for standing in found.standings if standing.seeds == 1]
    several = any(standing.seeds > 1 for standing in found.standings)
    images = (
        f"95 % interval over images (percentiles of {RESAMPLES:,} bootstrap resamples, the same images for both "
        "accuracies), which concerns these trained classifiers; another training seed gives other numbers; where some "
        "attacks' ratios are close, the least of them is low by chance, and its interval holds less than it says"
    )
    if not several:
        return f"In brackets: {images}."
    only = f"; in brackets, of {', '.join(single)}, with one seed: {images}" if single else ""
    return f"Means over seeds, each against the specialists of its own; ±: standard deviation over seeds{only}."


def _flags(found: Competitiveness) -> list[str]:
    """Red flags of the records, and those that show between the radii of one classifier."""
    of_classifier: dict[tuple[str, int], list[Record]] = {}
    for record in found.records:
        of_classifier.setdefault((record.method, record.seed), []).append(record)
    return flags_told([Suspect(who, record, each) for who, each in of_classifier.items() for record in each])


def comma_separated(measured: Sequence[Competitiveness], name: str) -> str:
    """One line a method and set of attacks, bounds exact, empty where missing; accuracies are of single attacks."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER, lineterminator="\n", restval="")
    writer.writeheader()
    for found in measured:
        for i, standing in enumerate(found.standings):
            about = {"dataset": found.dataset, "suite": found.space.suite, "space": name, "method": standing.method}
            for key, ratios in standing.ratios.items():
                writer.writerow({**about, "attacks": key, **_line(found, i, key, ratios)})
    return out.getvalue()


def _line(found: Competitiveness, i: int, key: str, ratios: Ratios) -> dict[str, Any]:
    """A method's numbers on a set of attacks."""
    row = found.rows[found.space.profiles[0]][i]
    alone = next((attack for attack in found.attacks if attack.name == key), None)
    accuracy = found.rows[alone.profile][i].bounds(alone.column) if alone else None
    named = {"accuracy": accuracy, "cr_ind_avg": ratios.average, "cr_ind_worst": ratios.worst}
    ends = {f"{what}{end}": round(v, 4) for what, b in named.items() if b for end, v in zip(ENDS, b, strict=True)}
    n = row.records[0].n if row.records else ""
    return {"n": n, "seeds": len(row.records), **ends, "weakest": ratios.weakest}
