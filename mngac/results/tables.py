"""Rows -> tables in Markdown, CSV and LaTeX, and metrics.json. Loads without torch.

A missing record is a dash, never a zero; the line under each table says what its intervals and tests are.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mngac.params.sections import Params, TableParams
from mngac.params.types import NORMS
from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import Context
from mngac.pipeline.paths import TABLES
from mngac.results import wording
from mngac.results.printed import DASH, Printed, latex, markdown
from mngac.results.records import Record, RecordError
from mngac.results.red_flags import Suspect
from mngac.results.rows import (
    COLUMNS,
    Row,
    collect,
    flags_of,
    flags_told,
    marks_told,
    metrics,
    of_seeds,
    p_values,
    paper_row,
    seed_spread,
)
from mngac.results.together import check_alike

COSTS = ("seconds", "process_seconds", "flops", "forward_passes", "images_seen")
"""Keys of train.json that the CSV carries."""
SEEN = "images seen"
BESIDE = " | "
"""Between the paper's number and ours."""
PAPER_DATASETS = ("cifar10", "svhn", "tiny_imagenet")
TITLES = {
    "all": "All methods",
    "single_perturbation": "Against methods for one perturbation",
    "multi_perturbation": "Against methods for several perturbations",
    "semi_supervised": "With pseudo-labelled images",
    "components": "Components of MNG-AC",
    "motivation": "Motivation: trained on (rows), attacked with (columns)",
    "beyond": "Newer methods beside the paper's",
}


def _number(bounds: tuple[float, float, float] | None) -> str:
    return DASH if bounds is None else f"{bounds[0]:.1f} ±{(bounds[2] - bounds[1]) / 2:.1f}"


def _images(count: float | None) -> str:
    if not count:
        return DASH
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.1f} k"


def _p(value: float | None) -> str:
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def cells(
    row: Row, names: TableParams, baseline: float | None, dataset: str, table: str, p: dict[str, float]
) -> dict[str, str]:
    """A row as printed: header -> text. Data sets of the paper get `paper | ours`.

    `baseline` counts the operations of the training of `names.baseline`, in units of which the cost is given.
    """
    paper = paper_row(dataset, table, row.method)
    printed = {"method": row.label}
    for column in NORMS if table == "motivation" else COLUMNS:
        ours = _number(row.bounds(column))
        if dataset in PAPER_DATASETS:
            ours = f"{paper[column] if paper else DASH}{BESIDE}{ours}"
        printed[column] = ours
    if table == "motivation":
        return printed
    flops = row.training("flops")
    cost = f"{flops / baseline:.2f}" if flops and baseline else DASH
    if dataset in PAPER_DATASETS:
        cost = f"{_hours_of_paper(dataset, table, row.method, names.baseline)}{BESIDE}{cost}"
    printed[f"cost (x {names.baseline})"] = cost
    printed[SEEN] = _images(row.training("images_seen"))
    printed[f"p (vs {names.reference})"] = _p(p.get(row.method))
    return printed


def _hours_of_paper(dataset: str, table: str, method: str, baseline: str) -> str:
    """The paper's hours over its hours of the baseline.

    Tables without adv_linf repeat mng_ac's row of the second table, so that its hours are theirs too.
    """
    paper = paper_row(dataset, table, method)
    reference = paper_row(dataset, table, baseline) or paper_row(dataset, "multi_perturbation", baseline)
    return f"{paper['hours'] / reference['hours']:.2f}" if paper and reference else DASH


def caption(
    rows: Sequence[Row], params: Params, dataset: str, suite: str, tested: bool, flags: Sequence[str] | None = None
) -> str:
    """What the numbers are, from the records that they are made of, and what is doubtful about them.

    `tested` says that the table prints p-values; `flags` are the red flags, where they are not those of the run's rows.
    """
    records = [record for row in rows for record in row.records]
    if not rows:
        return "The run has none of its methods."
    if not records:
        return f"No record of suite {suite} yet."
    seeds = sorted({r.seed for r in records})
    rejected = sum(attack.rejected for r in records for attack in r.attacks)
    lines = [
        f"{wording.images(records)}; {wording.held_out(records)}{wording.suites(records)}; radii "
        f"{wording.radii(records)} ({wording.profiles(records)}); {len(seeds)} seed{'s' if len(seeds) > 1 else ''} "
        f"({wording.ranges(seeds)}).",
        *_uncertainty(rows, dataset, params.tables.reference if tested else None),
        f"Trained on {wording.trained_on(records)}. Commit {wording.commits(records)}.",
    ]
    if len({str(r.provenance.get("code")) for r in records}) > 1:
        lines.append("Attacked by different code (run.mixed).")
    if rejected:
        lines.append(f"{rejected} outputs of attacks were misclassified but not valid, and count as not broken.")
    lines += marks_told(rows)
    flags = flags_of(params, dataset, rows) if flags is None else flags
    if flags:
        lines.append(f"Red flags: {'; '.join(flags)}.")
    return " ".join(lines)


def _uncertainty(rows: Sequence[Row], dataset: str, reference: str | None) -> list[str]:
    """What the intervals of the rows are, and their tests where there is a reference, and what they concern."""
    counts = {row.method: len(row.records) for row in rows if row.records}
    single = [method for method, count in counts.items() if count == 1]
    several = len(single) < len(counts)
    lines = []
    if several:
        only = f"; of {', '.join(single)}, with one seed, the 95 % interval over images (Wilson)" if single else ""
        lines.append(f"±: standard deviation over seeds{only}.")
        test = "paired t-test over the seeds that both have (one: exact McNemar on the same images)"
    else:
        lines.append("±: 95 % interval over images (Wilson).")
        test = "exact McNemar on the same images"
    if reference:
        lines.append(f"p: union against {reference}, {test}, Holm.")
    if single:
        what = "± and p concern" if reference else "± concerns"
        lines.append(f"One seed: {what} these trained classifiers; another training seed {_moves(dataset)}.")
    return lines


def _moves(dataset: str) -> str:
    known = seed_spread().get(dataset)
    if not known:
        return "gives other numbers (run.seeds)"
    return (
        f"moves a union by {known['from']} to {known['to']} points (standard deviation over {known['seeds']} seeds of "
        f"{known['methods']} under {known['suite']})"
    )


@dataclass(frozen=True)
class Section(Printed):
    """One data set's part of a table, under one suite and one profile."""

    rows: list[Row]
    where: dict[str, str]


def sections(params: Params, table: str) -> list[Section]:
    """A section a data set, profile and suite: they never mix in one."""
    made, names = [], params.tables
    for dataset in params.run.datasets:
        for suite in params.run.suites:
            for profile in params.run.profiles:
                rows = collect(params, dataset, params.shown_in(table), suite, profile)
                p = {} if table == "motivation" else p_values(rows, names.reference)
                baseline = Row(names.baseline, of_seeds(params, dataset, names.baseline, suite, profile))
                printed = [cells(row, names, baseline.training("flops"), dataset, table, p) for row in rows]
                title = f"{TITLES[table]}: {dataset}, {suite}, {profile}"
                where = {"dataset": dataset, "suite": suite, "profile": profile}
                made.append(Section(title, printed, caption(rows, params, dataset, suite, bool(p)), rows, where))
    return made


def narrow(section: Section) -> Printed:
    """In 100 columns: of the intervals the union's, no images seen, and the paper's numbers in a row of their own."""
    lines = []
    for full in section.printed:
        both = {_short(header): text for header, text in full.items() if header != SEEN}
        theirs = {header: text.partition(BESIDE)[0] for header, text in both.items() if BESIDE in text}
        ours = {header: text.rpartition(BESIDE)[2] for header, text in both.items()}
        lines.append({h: t if h == "union" else t.partition(" ±")[0] for h, t in ours.items()})
        if any(text != DASH for text in theirs.values()):
            lines.append({header: theirs.get(header, "") for header in ours} | {"method": "in the paper"})
    return Printed(section.title, lines, f"{section.caption}{_heads(section)}", flags=section.flags)


def _short(header: str) -> str:
    return header.partition(" (")[0]


def _heads(section: Section) -> str:
    """What the full headers say beyond the short ones."""
    said = [header for full in section.printed[:1] for header in full if _short(header) != header]
    return f" Columns: {', '.join(said)}; the other intervals: tables.intervals." if said else ""


def comma_separated(sections: Sequence[Section]) -> str:
    """One line a row, with exact bounds, n and seeds; empty where missing."""
    bounds = [f"{c}{suffix}" for c in COLUMNS for suffix in ("", "_low", "_high")]
    header = ["dataset", "suite", "profile", "method", "attacked", "n", "seeds", *bounds, *COSTS]
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    for section in sections:
        for row in section.rows:
            line: dict[str, Any] = {**section.where, "method": row.method, "seeds": len(row.records)}
            line["attacked"] = {True: "yes", False: "no", None: ""}[row.attacked]
            line["n"] = row.records[0].n if row.records else ""
            for column in COLUMNS:
                for suffix, value in zip(("", "_low", "_high"), row.bounds(column) or ("", "", ""), strict=True):
                    line[f"{column}{suffix}"] = round(value, 4) if isinstance(value, float) else value
            line |= {key: row.training(key) for key in COSTS}
            writer.writerow({k: "" if v is None else v for k, v in line.items()})
    return out.getvalue()


def in_markdown(params: Params, table: str, made: Sequence[Section]) -> str:
    """Sections as `tables.intervals` says; those of the motivation are narrow as they are."""
    whole = params.tables.intervals or table == "motivation"
    return markdown(made, whole=True) if whole else markdown([narrow(section) for section in made])


def partial(params: Params) -> str:
    """What the records that are there give, in Markdown: every table with its rows that have some; empty without."""
    texts = []
    for table in TABLES:
        made = []
        for each in sections(params, table):
            there = [i for i, row in enumerate(each.rows) if row.records]
            missing = [row.method for row in each.rows if not row.records]
            caption = each.caption + (f" Still without a record: {', '.join(missing)}." if missing else "")
            if there:
                rows, printed = [each.rows[i] for i in there], [each.printed[i] for i in there]
                made.append(replace(each, rows=rows, printed=printed, caption=caption))
        if made:
            texts.append(in_markdown(params, table, made))
    return "\n".join(texts)


def of_records(given: Sequence[Record], params: Params) -> str:
    """One table of records from anywhere, in Markdown: a row a method, in the order given.

    Args:
        given: of one data set, suite and profile, and alike in all that a table's rows must share.
        params: whose `tables` says the reference, the baseline of the cost, and the form.

    Raises:
        RecordError: where they may not stand together, or two are of one method and seed.
    """
    check_alike(given, params.run.mixed)
    if len(profiles := {record.profile for record in given}) > 1:
        raise RecordError(f"profiles of the records: found {', '.join(sorted(profiles))}; allowed: one")
    rows: dict[str, list[Record]] = {}
    for record in given:
        if any(record.seed == other.seed for other in rows.setdefault(record.method, [])):
            raise RecordError(f"{record.name}: found two records of it; allowed: one (mngac evaluate --method NAME)")
        rows[record.method].append(record)
    shown, dataset, suite = [Row(*row) for row in rows.items()], given[0].dataset, given[0].suite
    p = p_values(shown, params.tables.reference)
    baseline = Row(params.tables.baseline, rows.get(params.tables.baseline, [])).training("flops")
    printed = [cells(row, params.tables, baseline, dataset, "all", p) for row in shown]
    where = {"dataset": dataset, "suite": suite, "profile": given[0].profile}
    title = f"{', '.join(where.values())}: records given"
    flags = flags_told([Suspect((record.method, record.seed), record) for record in given])
    made = Section(title, printed, caption(shown, params, dataset, suite, bool(p), flags), shown, where)
    return in_markdown(params, "all", [made])


def metrics_of(params: Params, suite: str, profile: str) -> str:
    """The text of a metrics file."""
    content = {d: metrics(collect(params, d, params.run.all_methods, suite, profile)) for d in params.run.datasets}
    return json.dumps(content, indent=1) + "\n"


def run_metrics(context: Context) -> None:
    """Writes metrics-<suite>-<profile>.json."""
    w = context.job.wildcards
    write_text(context.outputs["metrics"], metrics_of(context.job.params, w["suite"], w["profile"]))


def run_tables(context: Context) -> None:
    """Writes every table in three forms, and metrics.json of the first suite and profile."""
    params, outputs = context.job.params, context.outputs
    for table in TABLES:
        made = sections(params, table)
        write_text(outputs[f"{table}.md"], in_markdown(params, table, made))
        write_text(outputs[f"{table}.csv"], comma_separated(made))
        write_text(outputs[f"{table}.tex"], latex(made))
    write_text(outputs["metrics.json"], metrics_of(params, params.run.suites[0], params.run.profiles[0]))
    context.log.line(f"tables: {len(TABLES)} in results/tables")
