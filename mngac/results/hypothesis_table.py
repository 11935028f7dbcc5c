"""What pairs of methods show -> a table in Markdown, CSV and LaTeX. Loads without torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from mngac.pipeline.paths import RECORD
from mngac.results import wording
from mngac.results.hypothesis import Findings, Tested
from mngac.results.printed import DASH, Printed, files_of
from mngac.results.red_flags import Suspect
from mngac.results.rows import flags_told, marks_told

HEADER = (
    *("dataset", "suite", "profile", "hypothesis", "method", "against", "column", "n", "seeds", "method_mean"),
    *("against_mean", "difference", "deviation", "low_90", "high_90", "low_95", "high_95", "p", "p_holm"),
    *("detectable", "equivalence", "verdict"),
)
SHOWN = ("clean", "linf", "l1", "l2")
"""Columns whose mean differences stand beside the union's."""


def section(found: Findings, name: str) -> Printed:
    """A data set's part of the table."""
    title = (
        f"{name.replace('_', ' ').capitalize()}: {found.dataset}, {found.hypothesis.suite}, {found.hypothesis.profile}"
    )
    files = [files_of(RECORD, (r for row in each.rows for r in row.records)) for each in found.pairs]
    return Printed(title, [_cells(each) for each in found.pairs], caption(found), keys=2, files=files)


def _cells(tested: Tested) -> dict[str, str]:
    one, other = (row.bounds("union") for row in tested.rows)
    union = tested.columns.get("union")
    return {
        "method": tested.rows[0].label,
        "against": tested.rows[1].label,
        "difference": DASH if union is None else _spread(union.centre, tested.deviation),
        "95 % interval": DASH if union is None else _interval(union.low, union.high),
        "p": DASH if tested.p is None else "<0.001" if tested.p < 0.001 else f"{tested.p:.3f}",
        "verdict": tested.verdict or DASH,
        "seeds": str(len(tested.seeds)),
        "union": DASH if one is None else f"{one[0]:.1f}",
        "other": DASH if other is None else f"{other[0]:.1f}",
        "90 % interval": DASH if union is None else _interval(union.inner_low, union.inner_high),
        "detectable": DASH if tested.detectable is None else f"{tested.detectable:.1f}",
        **{wording.LABELS.get(c, c): f"{tested.columns[c].centre:+.1f}" if tested.columns else DASH for c in SHOWN},
    }


def _spread(centre: float, deviation: float | None) -> str:
    return f"{centre:+.2f}" if deviation is None else f"{centre:+.2f} ±{deviation:.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return DASH if low is None or high is None else f"{low:+.2f} to {high:+.2f}"


def caption(found: Findings) -> str:
    """What the numbers are, from the records that they are made of, and what is doubtful about them."""
    records, margin = found.records, found.hypothesis.equivalence
    if not records:
        return f"No seed of suite {found.hypothesis.suite} that both of a pair have."
    lines = [
        f"{wording.images(records)}; {wording.held_out(records)}{wording.suites(records)}; radii "
        f"{wording.radii(records)} ({wording.profiles(records)}); {wording.seeds(records)}.",
        "Difference: of the unions in points, method minus the other, mean and standard deviation over the seeds that "
        "both have; union and other: their means; clean and norms: mean differences alone. "
        f"Intervals and p: {tests([found])}.",
        f"Verdict: higher or lower where p is below 0.05; {_equal(margin)}; open where neither, which says nothing of "
        "equality.",
        "Detectable: the difference that so many seeds, so far apart, find with a power of 80 %, before correction.",
        f"Trained on {wording.trained_on(records)}. Commit {wording.commits(records)}.",
        *marks_told(found.rows),
    ]
    flags = flags_told([Suspect((r.method, r.seed), r) for r in records])
    return " ".join([*lines, *([f"Red flags: {'; '.join(flags)}."] if flags else [])])


def tests(measured: Sequence[Findings]) -> str:
    """Which tests the p-values and intervals are of."""
    counts = {len(each.seeds) for found in measured for each in found.pairs}
    named = ["paired t over seeds"] if max(counts) > 1 else []
    named += ["exact McNemar and Tango over images, which concern these classifiers, not the methods"] * (1 in counts)
    pairs = len(measured[0].pairs)
    return ", or of one seed ".join(named) + (f"; p by Holm over {pairs} pairs" if pairs > 1 else "")


def _equal(margin: float | None) -> str:
    if margin is None:
        return "no margin is stated, so that no pair is called equal"
    within = f"each pair's 90 % interval for itself lies within ±{margin:g} points"
    return f"no difference where p is not and {within}, and with both tests passed, higher or lower within the margin"


def comma_separated(measured: Sequence[Findings], name: str) -> str:
    """One line a pair and column, exact, empty where unknown; p_holm, detectable and verdict are the union's."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER, lineterminator="\n", restval="")
    writer.writeheader()
    for found in measured:
        for tested in found.pairs:
            for column in tested.columns or ("union",):
                line = {"dataset": found.dataset, "hypothesis": name, **_line(found, tested, column)}
                writer.writerow({k: "" if v is None else v for k, v in line.items()})
    return out.getvalue()


def _line(found: Findings, tested: Tested, column: str) -> dict[str, Any]:
    entry, difference = found.hypothesis, tested.columns.get(column)
    line: dict[str, Any] = {"suite": entry.suite, "profile": entry.profile, **tested.pair.model_dump()}
    line |= {"column": column, "seeds": len(tested.seeds), "equivalence": entry.equivalence}
    for name, row in zip(("method_mean", "against_mean"), tested.rows, strict=True):
        bounds = row.bounds(column)
        line |= {name: bounds and round(bounds[0], 4), "n": row.records[0].n if row.records else None}
    if difference is not None:
        numbers = {
            "difference": difference.centre,
            "low_90": difference.inner_low,
            "high_90": difference.inner_high,
            "low_95": difference.low,
            "high_95": difference.high,
        }
        line |= {key: value if value is None else round(value, 4) for key, value in numbers.items()}
        line["p"] = difference.p
    if column == "union":
        deviation, detectable = tested.deviation, tested.detectable
        line |= {"deviation": deviation and round(deviation, 4), "detectable": detectable and round(detectable, 4)}
        line |= {"p_holm": tested.p, "verdict": tested.verdict}
    return line
