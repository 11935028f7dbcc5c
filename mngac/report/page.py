"""results/report.html: every table and figure of the run. Loads without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mngac.params.sections import Params
from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import Context
from mngac.report.blocks import (
    cost_blocks,
    figure_blocks,
    flag_blocks,
    further_blocks,
    parameter_blocks,
    provenance_blocks,
    records_of_run,
    table_blocks,
)
from mngac.report.document import beside, document, escape
from mngac.results import wording
from mngac.results.records import Record


@dataclass(frozen=True)
class Chapter:
    """A heading, its anchor, and its HTML blocks with headings of their own: (anchor, title, html)."""

    anchor: str
    title: str
    blocks: Sequence[tuple[str, str, str]]

    @property
    def html(self) -> str:
        """The chapter's section."""
        inner = "\n".join(f'<section id="{a}"><h3>{escape(t)}</h3>\n{body}\n</section>' for a, t, body in self.blocks)
        return f'<section id="{self.anchor}"><h2>{escape(self.title)}</h2>\n{inner}\n</section>'

    @property
    def contents(self) -> str:
        """The chapter's entry in the table of contents."""
        inner = "".join(f'<li><a href="#{a}">{escape(t)}</a></li>' for a, t, _ in self.blocks)
        return f'<li><a href="#{self.anchor}">{escape(self.title)}</a><ul>{inner}</ul></li>'


def chapters(params: Params) -> list[Chapter]:
    """What the page holds, in its order."""
    further = further_blocks(params)
    return [
        Chapter("figures", "Figures", figure_blocks(params)),
        Chapter("tables", "Tables", table_blocks(params)),
        Chapter("cost", "Cost of training", cost_blocks(params)),
        *([Chapter("further", "How far to trust it", further)] if further else []),
        Chapter("red-flags", "Red flags", flag_blocks(params)),
        Chapter("parameters", "Parameters", parameter_blocks(params)),
        Chapter("provenance", "Provenance", provenance_blocks(params)),
    ]


def lead(records: Sequence[Record]) -> str:
    """What the page rests on, from its records."""
    if not records:
        return "No record yet."
    methods, datasets = ({getattr(r, key): None for r in records} for key in ("method", "dataset"))
    return (
        f"{len(methods)} methods on {', '.join(datasets)}; {wording.images(records)}; {wording.suites(records)}; radii "
        f"{wording.profiles(records)}; {wording.seeds(records)}; trained on {wording.trained_on(records)}."
    )


def page(params: Params) -> str:
    """The whole page as text."""
    contents = chapters(params)
    body = f"""<nav aria-label="Contents"><p>Contents</p><ul>{"".join(c.contents for c in contents)}</ul></nav>
<main>
<header><h1>Robustness to several perturbations</h1>
<p class="lead">{escape(lead(records_of_run(params)))}</p>
<p>Numbers are percent of images still classified correctly. Where the paper has a table of the same kind, cells read
<b>paper | ours</b>. A dash was not measured. All is derived from the records, one outcome an image and attack: a number
leads to those that it is made of. The head of a column sorts its table.</p>
</header>
{chr(10).join(c.html for c in contents)}
</main>"""
    return document("mngac: robustness to several perturbations", body, beside("sort.js"))


def run(context: Context) -> None:
    """Writes the page."""
    write_text(context.outputs["report"], page(context.job.params))
    context.log.line(f"report: {context.job.outputs['report']}")
