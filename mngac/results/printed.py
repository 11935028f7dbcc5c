"""Tables as printed: rows of text under a title, with a caption, in Markdown, LaTeX and JSON. Loads without torch."""

from __future__ import annotations

import json
import string
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulate import MIN_PADDING, tabulate

from mngac.pipeline.atomic import write_text
from mngac.results import wording

DASH = "–"
"""Of what is missing: never a zero."""
WIDE = 100
"""Columns of a terminal that tables and their captions are made for."""
SIGNS = {"±": "$\\pm$", DASH: "--", "†": "$\\dagger$", "‡": "$\\ddagger$", "≤": "$\\leq$"}
"""Characters that LaTeX has commands for."""


@dataclass(frozen=True)
class Printed:
    """One table: every row maps the same headers to texts."""

    title: str
    printed: list[dict[str, str]]
    caption: str
    flags: list[str] = field(default_factory=list, kw_only=True)
    """Red flags of what the rows are made of, each with the rows that it concerns; the caption says them too."""
    files: list[list[str]] = field(default_factory=list, kw_only=True)
    """Of each row, the files that its numbers are made of: `files_of`; empty where the table does not say."""
    keys: int = field(default=1, kw_only=True)
    """How many of the first columns say what a row is: they stand in every part of a table that is printed in parts."""


def files_of(template: str, found: Iterable[Any]) -> list[str]:
    """Paths of files that were read.

    Args:
        template: of their paths, such as `records/{dataset}/{method}/...`.
        found: what they hold, with attributes of the template's names.
    """
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    return list(dict.fromkeys(template.format(**{name: getattr(each, name) for name in names}) for each in found))


def markdown(tables: Sequence[Printed], whole: bool = False) -> str:
    """A heading, a table and its caption each; a table of more than `WIDE` columns one part below the other.

    With `whole` tables are as wide as they are.
    """
    blocks = []
    for table in tables:
        escaped = [{k: v.replace("|", "\\|") for k, v in row.items()} for row in table.printed]
        parts = [escaped] if whole else _parts(escaped, table.keys)
        body = "\n\n".join(tabulate(p, headers="keys", tablefmt="github", disable_numparse=True) for p in parts)
        blocks.append(f"### {table.title}\n\n{body}\n\n{wrapped(wording.markdown(table.caption))}\n")
    return "\n".join(blocks)


def _parts(rows: list[dict[str, str]], keys: int) -> list[list[dict[str, str]]]:
    """The rows in as few parts as fit within `WIDE`, columns in their order, with the first `keys` of them in each."""
    headers = list(rows[0]) if rows else []
    wide = {h: 3 + max(len(h) + MIN_PADDING, *(len(row[h]) for row in rows)) for h in headers}
    parts: list[list[str]] = [headers[:keys]]
    for header in headers[keys:]:
        if 1 + sum(wide[h] for h in [*parts[-1], header]) > WIDE and len(parts[-1]) > keys:
            parts.append(headers[:keys])
        parts[-1].append(header)
    return [[{h: row[h] for h in part} for row in rows] for part in parts] if rows else [rows]


def wrapped(text: str, first: str = "", then: str | None = None) -> str:
    """A paragraph in lines of at most `WIDE` characters; names stay whole.

    `first` stands before the first line, `then` before the others: as much room, where it is not said.
    """
    indent = " " * len(first) if then is None else then
    return textwrap.fill(
        text, WIDE, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def latex(tables: Sequence[Printed]) -> str:
    """Booktabs tables, captions as comments above them."""
    blocks = []
    for table in tables:
        body = tabulate(table.printed, headers="keys", tablefmt="latex_booktabs", disable_numparse=True)
        text = f"% {table.title}\n% {table.caption}\n{body}\n"
        for sign, command in SIGNS.items():
            text = text.replace(sign, command)
        blocks.append(text)
    return "\n".join(blocks)


def write(outputs: Mapping[str, str], stem: str, tables: Sequence[Printed], lines: str) -> None:
    """Writes tables in every form.

    Args:
        outputs: paths by name, among them `<stem>.md`, `.tex`, `.json` (what the report shows) and `.csv`.
        stem: of the names.
        tables: what is printed.
        lines: the text of the CSV, with exact numbers.
    """
    write_text(outputs[f"{stem}.md"], markdown(tables))
    write_text(outputs[f"{stem}.tex"], latex(tables))
    write_text(outputs[f"{stem}.csv"], lines)
    content = [vars(table) for table in tables]
    write_text(outputs[f"{stem}.json"], json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read(path: str | Path) -> list[Printed]:
    """The tables of a `.json` that `write` wrote."""
    return [Printed(**table) for table in json.loads(Path(path).read_text(encoding="utf-8"))]
