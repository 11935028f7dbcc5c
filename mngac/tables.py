"""Records -> tables in Markdown, CSV and LaTeX, and metrics.json. Loads without torch.

A cell is a mean over seeds in percent. Its interval is Wilson's over images for one seed, the standard deviation over
seeds for several; the line under each table says which. A missing record is a dash, never a zero.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from mngac import records
from mngac.artifacts import write_text
from mngac.params import NORMS, PACKAGE, Params
from mngac.records import Record
from mngac.stages import TABLES, Context, record_path
from mngac.statistics import holm, mcnemar, spread, wilson

COLUMNS = ("clean", *NORMS, "union", "avg")
DASH = "–"
REFERENCE = "mng_ac"
BASELINE = "adv_linf"

ROWS: dict[str, tuple[str, ...] | None] = {
    "all": None,
    "single_perturbation": ("nat", "adv_linf", "adv_l1", "adv_l2", "trades_linf", "mng_ac"),
    "multi_perturbation": (
        *("nat", "adv_linf", "adv_l1", "adv_l2", "trades_linf", "adv_avg", "adv_max", "msd"),
        *("mng_ac",),
    ),
    "semi_supervised": ("rst_linf", "mng_ac", "mng_ac_rst_linf"),
    "components": ("sat", "sat_ac", "sat_ac_noise", "mng_ac"),
    "motivation": ("nat", "adv_linf", "adv_l1", "adv_l2", "sat", "mng_ac"),
}
PAPER_DATASETS = ("cifar10", "svhn", "tiny_imagenet")
TITLES = {
    "all": "All methods",
    "single_perturbation": "Against methods for one perturbation",
    "multi_perturbation": "Against methods for several perturbations",
    "semi_supervised": "With pseudo-labelled images",
    "components": "Components of MNG-AC",
    "motivation": "Motivation: trained on (rows), attacked with (columns)",
}


class TablesError(ValueError):
    """One line on why records can't stand in one table."""


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
            return [sum(100 * sum(r.robust(p)) / r.n for p in NORMS) / len(NORMS) for r in self.records]
        if column in NORMS and not all(column in r.norms() for r in self.records):
            return []
        return [100 * sum(r.column(column)) / r.n for r in self.records]

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

    def training(self, key: str) -> float | None:
        """A number of the trainings' timing, mean over seeds."""
        values = [r.timing.get("training", {}).get(key) for r in self.records]
        return None if not values or None in values else sum(values) / len(values)


def _half_width_of_average(record: Record) -> float:
    """Normal half-width in percent of the mean over images of the share of norms withstood."""
    per_image = [sum(flags) / len(NORMS) for flags in zip(*(record.robust(p) for p in NORMS), strict=True)]
    centre = sum(per_image) / record.n
    variance = sum((v - centre) ** 2 for v in per_image) / max(record.n - 1, 1)
    return 100 * 1.959964 * math.sqrt(variance / record.n)


@functools.cache
def paper_tables() -> dict[str, dict[str, list[float]]]:
    """The slides' numbers by `<dataset>_<table>` and method, columns as in COLUMNS and hours."""
    content = yaml.safe_load((PACKAGE / "paper_tables.yaml").read_text())
    del content["columns"]
    return content


def paper_row(dataset: str, table: str, method: str) -> dict[str, float] | None:
    """The slides' row; SVHN has one table for what CIFAR-10 has two."""
    tables = paper_tables()
    for name in (f"{dataset}_{table}", *([dataset] if table.endswith("_perturbation") else [])):
        if method in tables.get(name, {}):
            return dict(zip((*COLUMNS, "hours"), tables[name][method], strict=True))
    return None


def collect(params: Params, dataset: str, methods: Sequence[str], suite: str, profile: str) -> list[Row]:
    """Rows of the records that exist.

    Raises:
        TablesError: where they differ in split, number of images or evaluation code.
    """
    rows = []
    for method in methods:
        paths = [
            Path(record_path(dict(dataset=dataset, method=method, seed=str(k), suite=suite, profile=profile)))
            for k in params.run.seeds
        ]
        rows.append(Row(method, [records.read(path) for path in paths if path.exists()]))
    check_alike([r for row in rows for r in row.records])
    return rows


def check_alike(found: Sequence[Record]) -> None:
    """Refuses to mix suites, profiles, splits, images or evaluation code in one table."""
    what = {
        "suite": lambda r: r.suite,
        "profile": lambda r: r.profile,
        "split": lambda r: r.split,
        "images": lambda r: f"{r.n} images",
        "evaluation code": lambda r: str(r.provenance.get("code"))[:12],
    }
    for name, value in what.items():
        by_value: dict[str, str] = {}
        for record in found:
            by_value.setdefault(value(record), f"{record.dataset}/{record.method}/seed{record.seed}")
        if len(by_value) > 1:
            listed = "; ".join(f"{v} in {where}" for v, where in by_value.items())
            raise TablesError(f"records of different {name} can't stand in one table: {listed}; evaluate them anew")


def metrics(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """{method: {clean, linf, l1, l2, union, avg}} in percent, mean over seeds; absent where missing."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        values = {c: round(spread(row.shares(c))[0], 4) for c in COLUMNS if row.shares(c)}
        deviation = spread(row.shares("union"))[1] if row.shares("union") else None
        if deviation is not None:
            values["union_std"] = round(deviation, 4)
        if values:
            found[row.method] = values
    return found


def p_values(rows: Sequence[Row]) -> dict[str, float]:
    """Holm-adjusted p-values of each row's union against mng_ac's, paired.

    One seed: exact McNemar over images. Several: paired t-test over the seeds that both have.
    """
    by_name = {row.method: row for row in rows}
    reference = by_name.get(REFERENCE)
    if reference is None or not reference.shares("union"):
        return {}
    raw = {}
    for row in rows:
        if row.method == REFERENCE or not row.shares("union"):
            continue
        pairs = _paired(row.records, reference.records)
        if len(pairs) == 1:
            raw[row.method] = mcnemar(pairs[0][0].union(), pairs[0][1].union())
        elif pairs:
            raw[row.method] = _t_test([100 * (sum(a.union()) - sum(b.union())) / a.n for a, b in pairs])
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def _paired(first: Sequence[Record], second: Sequence[Record]) -> list[tuple[Record, Record]]:
    by_seed = {r.seed: r for r in second}
    return [(r, by_seed[r.seed]) for r in first if r.seed in by_seed]


def _t_test(differences: list[float]) -> float:
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(differences, 0).pvalue) if len(set(differences)) > 1 else float(differences[0] == 0)


# ---------------------------------------------------------------- rendering


def _number(bounds: tuple[float, float, float] | None) -> str:
    return DASH if bounds is None else f"{bounds[0]:.1f} ±{(bounds[2] - bounds[1]) / 2:.1f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    return (
        f"{seconds:.0f} s"
        if seconds < 600
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _images(count: float | None) -> str:
    if count is None:
        return DASH
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.1f} k"


def _p(value: float | None) -> str:
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def cells(row: Row, rows: Sequence[Row], dataset: str, table: str, p: dict[str, float]) -> dict[str, str]:
    """A row as printed: header -> text. Data sets of the paper get `paper | ours`."""
    paper = paper_row(dataset, table, row.method)
    printed = {"method": row.method}
    for column in NORMS if table == "motivation" else COLUMNS:
        ours = _number(row.bounds(column))
        if dataset in PAPER_DATASETS:
            ours = f"{paper[column] if paper else DASH} | {ours}"
        printed[column] = ours
    if table == "motivation":
        return printed
    baseline = next((r.training("seconds") for r in rows if r.method == BASELINE), None)
    seconds = row.training("seconds")
    printed["time"] = _duration(seconds)
    if dataset in PAPER_DATASETS:
        printed["time"] = f"{paper['hours']} h | {printed['time']}" if paper else f"{DASH} | {printed['time']}"
    printed[f"x {BASELINE}"] = f"{seconds / baseline:.2f}" if seconds and baseline else DASH
    printed["images seen"] = _images(row.training("images_seen"))
    printed[f"p (vs {REFERENCE})"] = _p(p.get(row.method))
    return printed


def caption(found: Sequence[Record], params: Params, dataset: str, suite: str, profile: str) -> str:
    """What the numbers are: n, seeds, interval, radii, suite, commit."""
    radii = params.radii_for(profile, dataset)
    ball = f"l_inf {radii.linf}, l_1 {radii.l1}, l_2 {radii.l2} ({profile})"
    if not found:
        return f"No record of suite {suite} yet; radii {ball}."
    seeds = sorted({r.seed for r in found})
    spread_text = "standard deviation over seeds" if len(seeds) > 1 else "95 % interval over images (Wilson)"
    test = "paired t-test over seeds" if len(seeds) > 1 else "exact McNemar on the same images"
    commits = sorted({str(r.provenance.get("commit")) for r in found})
    devices = sorted({str(r.timing.get("training", {}).get("device")) for r in found})
    flags = sorted({f"{r.method}: {flag}" for r in found for flag in r.flags})
    held = f"; {params.data[dataset].held_out}"
    lines = [
        f"{found[0].n} {found[0].split} images{held}; suite {suite}; radii {ball}; "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))}).",
        f"±: {spread_text}. p: union against {REFERENCE}, {test}, Holm. Trained on {', '.join(devices)}. "
        f"Commit {', '.join(commits)}.",
    ]
    return " ".join([*lines, *([f"Red flags: {'; '.join(flags)}."] if flags else [])])


@dataclass(frozen=True)
class Section:
    """One data set's part of a table, under one suite and one profile."""

    title: str
    rows: list[Row]
    printed: list[dict[str, str]]
    caption: str
    where: dict[str, str]


def sections(params: Params, table: str) -> list[Section]:
    """A section a data set, profile and suite: they never mix in one."""
    found = []
    for dataset in params.run.datasets:
        for suite in params.run.suites:
            for profile in params.run.profiles:
                wanted = ROWS[table] or tuple(params.run.all_methods)
                rows = collect(params, dataset, wanted, suite, profile)
                p = p_values(rows)
                printed = [cells(row, rows, dataset, table, p) for row in rows]
                seen = [r for row in rows for r in row.records]
                title = f"{TITLES[table]}: {dataset}, {suite}, {profile}"
                where = {"dataset": dataset, "suite": suite, "profile": profile}
                found.append(Section(title, rows, printed, caption(seen, params, dataset, suite, profile), where))
    return found


def markdown(parts: Sequence[Section]) -> str:
    """A table a section, each with its caption."""
    blocks = []
    for part in parts:
        escaped = [{k: v.replace("|", "\\|") for k, v in row.items()} for row in part.printed]
        body = tabulate(escaped, headers="keys", tablefmt="github", disable_numparse=True)
        blocks.append(f"### {part.title}\n\n{body}\n\n{part.caption}\n")
    return "\n".join(blocks)


def latex(parts: Sequence[Section]) -> str:
    """Booktabs tables, captions as comments above them."""
    blocks = []
    for part in parts:
        body = tabulate(part.printed, headers="keys", tablefmt="latex_booktabs", disable_numparse=True)
        text = f"% {part.title}\n% {part.caption}\n{body}\n"
        blocks.append(text.replace("±", "$\\pm$").replace(DASH, "--"))
    return "\n".join(blocks)


def comma_separated(parts: Sequence[Section]) -> str:
    """One line a row, with exact bounds, n and seeds; empty where missing."""
    bounds = [f"{c}{suffix}" for c in COLUMNS for suffix in ("", "_low", "_high")]
    header = ["dataset", "suite", "profile", "method", "n", "seeds", *bounds, "seconds", "images_seen"]
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    for part in parts:
        for row in part.rows:
            line: dict[str, Any] = {**part.where, "method": row.method, "seeds": len(row.records)}
            line["n"] = row.records[0].n if row.records else ""
            for column in COLUMNS:
                for suffix, value in zip(("", "_low", "_high"), row.bounds(column) or ("", "", ""), strict=True):
                    line[f"{column}{suffix}"] = round(value, 4) if isinstance(value, float) else value
            line["seconds"], line["images_seen"] = row.training("seconds"), row.training("images_seen")
            writer.writerow({k: "" if v is None else v for k, v in line.items()})
    return out.getvalue()


def metrics_of(params: Params, suite: str, profile: str) -> str:
    """The text of a metrics file."""
    content = {d: metrics(collect(params, d, params.run.all_methods, suite, profile)) for d in params.run.datasets}
    return json.dumps(content, indent=1) + "\n"


def run_metrics(context: Context) -> None:
    """Writes metrics-<suite>-<profile>.json."""
    w = context.job.wildcards
    write_text(context.job.outputs["metrics"], metrics_of(context.job.params, w["suite"], w["profile"]))


def run_tables(context: Context) -> None:
    """Writes every table in three forms, and metrics.json of the first suite and profile."""
    params, outputs = context.job.params, context.job.outputs
    for table in TABLES:
        parts = sections(params, table)
        write_text(outputs[f"{table}.md"], markdown(parts))
        write_text(outputs[f"{table}.csv"], comma_separated(parts))
        write_text(outputs[f"{table}.tex"], latex(parts))
    write_text(outputs["metrics.json"], metrics_of(params, params.run.suites[0], params.run.profiles[0]))
    context.log.line(f"tables: {len(TABLES)} in results/tables")
