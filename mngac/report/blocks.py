"""The report's blocks: each (anchor, title, html), from records, figures and parameters."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from mngac.params.sections import Params
from mngac.params.shipped import shipped
from mngac.pipeline import values
from mngac.pipeline.paths import FIGURES, MODEL_FIGURES, TABLES, figure_path, further_of, record_path
from mngac.report.document import escape
from mngac.results import printed, wording
from mngac.results.printed import Printed
from mngac.results.records import Record
from mngac.results.rows import Row, collect, flags_of, of_seeds
from mngac.results.tables import DASH, TITLES, Section, sections

Block = tuple[str, str, str]
CAPTIONS = shipped("workflow/report")
"""One caption a figure, shared with `snakemake --report`."""

FIRST = "union_and_cost"
SCREEN = 1.45
"""Pixels a point of a figure: its 8-point type is then as large as the page's captions."""


@dataclass(frozen=True)
class Mark:
    """What a row of a table leads to, and is reached by; empty where there is nothing."""

    source: str = ""
    """Anchor of the records that its numbers are made of."""
    anchor: str = ""
    """Its own."""
    file: str = ""
    """Path in the workspace of what its first cell names."""


def table(lines: Sequence[Mapping[str, str]], marks: Sequence[Mark] = ()) -> str:
    """An HTML table in a box that scrolls sideways; the first column stays in sight. `paper | ours` in two inks.

    Args:
        lines: of each row the same headers -> texts.
        marks: of each row, what it leads to; none: to nothing.
    """
    if not lines:
        return "<p>Nothing to show.</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in lines[0])
    body = []
    for line, mark in zip(lines, marks or [Mark()] * len(lines), strict=True):
        first, *rest = map(escape, line.values())
        name = f'<a href="../{escape(mark.file)}">{first}</a>' if mark.file else first
        anchor = f' id="{mark.anchor}"' if mark.anchor else ""
        cells = "".join(_cell(text, mark.source) for text in rest)
        body.append(f'<tr{anchor}><th scope="row">{name}</th>{cells}</tr>')
    rows = "\n".join(body)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'
    )


def _cell(text: str, source: str) -> str:
    """Of escaped text."""
    paper, bar, ours = text.rpartition(" | ")
    number = f'<a href="#{source}">{ours}</a>' if source and ours != DASH else ours
    if not bar:
        return f"<td>{number}</td>"
    return f'<td><span class="paper">{paper}</span> | <span class="ours">{number}</span></td>'


def _anchor(dataset: str, method: str, suite: str, profile: str) -> str:
    """Of a row's records, in the chapter on where they come from."""
    return f"records-{dataset}-{method}-{suite}-{profile}"


def _marks(section: Section) -> list[Mark]:
    """Of each row of a table: where its records are."""
    suite, profile, dataset = (section.where[key] for key in ("suite", "profile", "dataset"))
    return [_mark(row, dataset, suite, profile) for row in section.rows]


def _mark(row: Row, dataset: str, suite: str, profile: str) -> Mark:
    """To where a row's records are, if it has some."""
    return Mark(_anchor(dataset, row.method, suite, profile)) if row.records else Mark()


def table_blocks(params: Params) -> list[Block]:
    """Every table of the paper, a block a table with a section a data set, suite and profile."""
    blocks = []
    for name in TABLES:
        shown = [
            f"<h4>{escape(' · '.join(section.where.values()))}</h4>{table(section.printed, _marks(section))}"
            f'<p class="caption">{escape(section.caption)}</p>'
            for section in sections(params, name)
        ]
        blocks.append((f"table-{name}", TITLES[name], "\n".join(shown)))
    return blocks


def cost_blocks(params: Params) -> list[Block]:
    """What training cost, counted and timed, and union for each hour of it; on the machine that the records name."""
    suite, profile = params.run.suites[0], params.run.profiles[0]
    blocks = []
    for dataset in params.run.datasets:
        rows = collect(params, dataset, params.run.all_methods, suite, profile)
        ranked = sorted(rows, key=lambda row: -(_per_hour(row) or -1.0))
        records = [record for row in rows for record in row.records]
        note = (
            "Passes: forward passes of one image that cost as much as the training, counted exactly. Processor: "
            "CPU time, or a GPU's time between events; clock: as waited for, under whatever else ran. Union "
            f"({wording.suites(records)}, radii {wording.profiles(records)}) an hour: its points divided by hours of "
            f"the processor. Means over seeds; trained on {wording.trained_on(records)}. Hours of different machines "
            "can't be compared; and a method that hardly trains gets many points an hour without being robust: read it "
            "beside the union itself."
        )
        marks = [_mark(row, dataset, suite, profile) for row in ranked]
        body = table([_cost_line(row) for row in ranked], marks) + f'<p class="caption">{escape(note)}</p>'
        blocks.append((f"cost-{dataset}", dataset, body))
    return blocks


def _per_hour(row: Row) -> float | None:
    union, seconds = row.shares("union"), row.training("process_seconds")
    return sum(union) / len(union) / (seconds / 3600) if union and seconds else None


def _cost_line(row: Row) -> dict[str, str]:
    union, passes, rate = row.shares("union"), row.training("forward_passes"), _per_hour(row)
    return {
        "method": row.method,
        "union": f"{sum(union) / len(union):.1f}" if union else DASH,
        "passes": f"{passes:,.0f}" if passes else DASH,
        "processor": _hours(row.training("process_seconds")),
        "clock": _hours(row.training("seconds")),
        "union per hour": f"{rate:,.0f}" if rate else DASH,
    }


def _hours(seconds: float | None) -> str:
    return f"{seconds / 3600:.4f} h" if seconds else DASH


def figure_blocks(params: Params) -> list[Block]:
    """Every figure, as an image inside the page, with its caption; what robustness costs comes first."""
    ordered = sorted(FIGURES, key=lambda name: name != FIRST)
    wanted: list[tuple[str, str | None]] = [(name, None) for name in ordered]
    wanted += [(name, d) for d in params.run.datasets for name in MODEL_FIGURES]
    return [_figure(name, dataset, len(params.run.datasets) > 1) for name, dataset in wanted]


def _figure(name: str, dataset: str | None, several: bool) -> Block:
    title = name.replace("_", " ").capitalize() + (f", {dataset}" if dataset and several else "")
    caption = _caption(name)
    anchor = f"figure-{name}-{dataset}" if dataset else f"figure-{name}"
    return anchor, title, _image(figure_path(name, "svg", dataset), title, caption)


def _caption(name: str) -> str:
    return (CAPTIONS / f"{name}.rst").read_text(encoding="utf-8").strip()


def _image(path: str, title: str, caption: str) -> str:
    """A figure's SVG, inside the page."""
    drawing = Path(path).read_bytes()
    image = base64.b64encode(drawing).decode()
    wide = round(float((re.search(rb'width="([0-9.]+)pt"', drawing) or [b"", b"600"])[1]) * SCREEN)
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><div class="scroll" tabindex="0"><img alt="{escape(title)}" width="{wide}" '
        f'src="data:image/svg+xml;base64,{image}"/></div>{told}</figure>'
    )


def further_blocks(params: Params) -> list[Block]:
    """The tables that the run asks for beside the paper's, each with its figure where it has one."""
    paths, blocks = further_of(params), []
    for path in [path for path in paths if path.endswith(".json")]:
        name = Path(path).stem
        tables = printed.read(path)
        body = "\n".join(_further(t, f"files-{name}-{i}") for i, t in enumerate(tables))
        drawing = figure_path(name, "svg")
        title = name.replace("_", " ").capitalize()
        if drawing in paths:
            body += _image(drawing, title, _caption(name.partition("-")[0]))
        blocks.append((f"further-{name}", title, body))
    return blocks


def _further(found: Printed, anchor: str) -> str:
    """A table whose numbers lead to the names of the files that they are made of, below it."""
    marks, lists = [], []
    for i, (line, files) in enumerate(zip(found.printed, found.files, strict=True) if found.files else ()):
        marks.append(Mark(f"{anchor}-{i}") if files else Mark())
        links = ", ".join(f'<a href="../{escape(file)}">{escape(file)}</a>' for file in files)
        who = " against ".join(list(line.values())[: found.keys])
        lists += [f'<li id="{anchor}-{i}">{escape(who)}: {links}</li>'] if files else []
    told = f"<details><summary>Files</summary><ul>{''.join(lists)}</ul></details>" if lists else ""
    return (
        f"<h4>{escape(found.title)}</h4>{table(found.printed, marks)}"
        f'<p class="caption">{escape(found.caption)}</p>{told}'
    )


def flag_blocks(params: Params) -> list[Block]:
    """What makes evaluations doubtful, a list a data set; then of each further table that has any."""
    blocks = []
    for dataset in params.run.datasets:
        flags = [
            flag
            for suite in params.run.suites
            for profile in params.run.profiles
            for flag in flags_of(params, dataset, collect(params, dataset, params.run.all_methods, suite, profile))
        ]
        items = "".join(f"<li>{escape(flag)}</li>" for flag in dict.fromkeys(flags))
        body = f"<ul>{items}</ul>" if flags else "<p>None: no record of this run raises one.</p>"
        blocks.append((f"flags-{dataset}", dataset, body))
    for path in [path for path in further_of(params) if path.endswith(".json")]:
        for i, each in enumerate(t for t in printed.read(path) if t.flags):
            items = "".join(f"<li>{escape(flag)}</li>" for flag in each.flags)
            blocks.append((f"flags-{Path(path).stem}-{i}", each.title, f"<ul>{items}</ul>"))
    return blocks


def parameter_blocks(params: Params) -> list[Block]:
    """The parameters as resolved: each data set's after its overrides, and what the run names."""
    blocks = []
    for i, (name, value) in enumerate(values.printed(params).items()):
        text = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=100)
        blocks.append((f"params-{i}", name, f'<pre class="scroll" tabindex="0">{escape(text)}</pre>'))
    return blocks


def records_of_run(params: Params) -> list[Record]:
    """All records of the run that exist, by data set, method, suite and profile."""
    return [record for _, records in _by_row(params) for record in records]


def _by_row(params: Params) -> list[tuple[tuple[str, str, str, str], list[Record]]]:
    """The records of each data set, method, suite and profile."""
    run = params.run
    return [(row, of_seeds(params, *row)) for row in product(run.datasets, run.all_methods, run.suites, run.profiles)]


def provenance_blocks(params: Params) -> list[Block]:
    """Where each record comes from: its file, commit, code, cache key, device, versions."""
    lines, marks = [], []
    for row, records in _by_row(params):
        for i, record in enumerate(records):
            dataset, method, suite, profile = row
            where = dict(dataset=dataset, method=method, seed=str(record.seed), suite=suite, profile=profile)
            lines.append(_source(record.model_dump(by_alias=True)))
            marks.append(Mark(anchor="" if i else _anchor(*row), file=record_path(where)))
    note = "Key: of the evaluation in the artifact cache; code: digest of what attacked, equal within a table."
    return [("records", "Records", table(lines, marks) + f'<p class="caption">{note}</p>')]


def _source(record: dict[str, Any]) -> dict[str, str]:
    about, training = record["provenance"], record["timing"].get("training", {})
    versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    return {
        "record": " ".join(str(record[k]) for k in ("dataset", "method")) + f" seed {record['seed']}",
        "suite": f"{record['suite']}, {record['profile']}, {record['n']} {record['split']}",
        "commit": wording.made_at(about),
        "key": str(about.get("key", DASH))[:12],
        "code": str(about.get("code", DASH))[:12],
        "evaluated on": str(about.get("device", DASH)),
        "trained on": str(training.get("device", DASH)),
        "versions": versions or DASH,
    }
