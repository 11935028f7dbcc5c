"""Tables as printed: rows of text under a title, with a caption, in Markdown, LaTeX and JSON. Loads without torch."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from mngac.pipeline.atomic import write_text
from mngac.results import wording

DASH = "–"
"""Of what is missing: never a zero."""
WIDE = 100
"""Columns of a terminal that a caption is wrapped for."""
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


def markdown(tables: Sequence[Printed]) -> str:
    """A heading, a table and its caption each."""
    blocks = []
    for table in tables:
        escaped = [{k: v.replace("|", "\\|") for k, v in row.items()} for row in table.printed]
        body = tabulate(escaped, headers="keys", tablefmt="github", disable_numparse=True)
        blocks.append(f"### {table.title}\n\n{body}\n\n{_wrapped(wording.markdown(table.caption))}\n")
    return "\n".join(blocks)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDE, break_long_words=False, break_on_hyphens=False)


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
