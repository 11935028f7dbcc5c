"""The report: one well-formed page with every table and figure, nothing from the network, nothing unescaped."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from helpers import ROOT, small_params
from results_workspace import made

from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import FIGURES, MODEL_FIGURES, TABLES
from mngac.report import blocks, page
from mngac.results import printed
from mngac.results.printed import Printed
from mngac.results.tables import sections

METHODS = ("nat", "sat", "mng_ac")
VOID = {"meta", "link", "img", "br"}


class Tree(HTMLParser):
    """Checks that tags close in order; keeps attributes and ids."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of a small run, and its parameters."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MNGAC_CACHE", str(folder / "cache"))
        params = made(folder, METHODS)
        job(params, "figures").run()
        job(params, "model_figures", dataset="digits").run()
        job(params, "report").run()
        text = (folder / "results/report.html").read_text()
        assert page.page(params) == text
        yield text, params, {name: sections(params, name) for name in TABLES}


@pytest.fixture(scope="module")
def tree(written):
    found = Tree()
    found.feed(written[0])
    found.close()
    return found


def test_the_page_is_well_formed_and_its_contents_lead_somewhere(tree):
    assert tree.open == []
    ids = [v for _, k, v in tree.attributes if k == "id"]
    assert len(set(ids)) == len(ids)
    links = {v for tag, k, v in tree.attributes if tag == "a" and k == "href"}
    files = {link for link in links if not link.startswith("#")}
    assert len(links) > 20 and {link.removeprefix("#") for link in links - files} <= set(ids)
    assert files == {f"../records/digits/{method}/seed0/apgd-standard.json" for method in METHODS}


def test_a_number_leads_to_the_records_that_it_is_made_of(written):
    text, _, tables = written
    [row] = [row for row in tables["all"][0].printed if row["method"] == "sat"]
    anchor = "records-digits-sat-apgd-standard"
    assert f'<td><a href="#{anchor}">{row["union"]}</a></td>' in text
    assert f'<tr id="{anchor}"><th scope="row"><a href="../records/digits/sat/seed0/apgd-standard.json">' in text


def test_the_cost_of_a_training_leads_to_its_records(written):
    text, _, _ = written
    start = text.index('<section id="cost-digits"')
    assert 'href="#records-digits-sat-apgd-standard"' in text[start : text.index("</section>", start)]


def test_a_number_of_a_further_table_leads_to_the_files_that_it_is_made_of(tmp_path, monkeypatch):
    """Two pairs of methods, the first of two records; the figure has a caption."""
    monkeypatch.chdir(tmp_path)
    params = small_params()
    params = params.model_copy(update={"run": params.run.model_copy(update={"hypotheses": ["ours"]})})
    paths = [f"records/digits/{m}/seed0/quick-standard.json" for m in ("mng_ac", "sat")]
    rows = [{"method": "mng_ac", "against": who, "p": p} for who, p in (("sat", "0.04"), ("msd", "–"))]
    drawn = Printed("Ours", rows, "Caption.", keys=2, files=[paths, []])
    outputs = {f"hypothesis.{form}": f"results/tables/hypothesis-ours.{form}" for form in ("md", "tex", "csv", "json")}
    printed.write(outputs, "hypothesis", [drawn], "")
    write_text("results/figures/hypothesis-ours.svg", '<svg width="100pt"/>')
    ((anchor, _, body),) = blocks.further_blocks(params)
    here = "files-hypothesis-ours-0-0"
    assert anchor == "further-hypothesis-ours" and f'<td><a href="#{here}">0.04</a></td><' in body
    links = ", ".join(f'<a href="../{path}">{path}</a>' for path in paths)
    assert f'<li id="{here}">mng_ac against sat: {links}</li>' in body and body.count("<li") == 1
    assert "a dot a training seed" in body


def test_figures_come_first_and_what_robustness_costs_before_all_others(written):
    text = written[0]
    places = [text.index(f'<section id="{name}"') for name in ("figures", "tables", "red-flags", "provenance")]
    assert places == sorted(places)
    assert re.search(r'<section id="figures"><h2>Figures</h2>\s*<section id="figure-union_and_cost">', text)


def test_nothing_comes_from_the_network_and_no_script_but_the_pages_own_may_run(written, tree):
    own = (ROOT / "mngac/report/sort.js").read_text()
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert tree.tags.count("script") == 1 and f"<script>{own}</script>" in written[0] and "iframe" not in tree.tags
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f'content="{policy}"' in written[0]
    assert all(v.startswith(("#", "data:", "../records/")) for _, k, v in tree.attributes if k in ("src", "href"))
    assert not re.search(r"https?://|@import|url\(", written[0])


def test_every_figure_is_in_the_page_with_its_caption(written, tree):
    images = [v for tag, k, v in tree.attributes if tag == "img" and k == "src"]
    assert len(images) == len(FIGURES) + len(MODEL_FIGURES)
    assert all(v.startswith("data:image/svg+xml;base64,") for v in images)
    for name in (*FIGURES, *MODEL_FIGURES):
        caption = (ROOT / f"workflow/report/{name}.rst").read_text().strip()
        assert blocks.escape(caption) in written[0]


def test_every_cell_of_every_table_is_in_the_page(written):
    text, _, tables = written
    for name, found in tables.items():
        start = text.index(f'<section id="table-{name}"')
        block = text[start : text.index("</section>", start)]
        for section in found:
            assert blocks.escape(section.caption) in block
            for line in section.printed:
                for cell in line.values():
                    assert blocks.escape(cell) in block, (name, cell)


def test_parameters_provenance_and_red_flags_are_in_the_page(written):
    text, _, _ = written
    assert "beta: 12.0" in text and "model: wrn_10_1" in text
    assert "0123456789ab" in text and "a" * 12 in text and "torch 2" in text
    assert "&lt;zero&gt; gradients [nat]" in text and "<zero>" not in text


def test_union_per_hour_is_union_over_hours(written):
    """nat: 4 of 20 images in 10 s of the processor is 20 points in 1/360 h; it took 18 s by the clock."""
    unlinked = re.sub(r"</?a[^>]*>", "", written[0])
    assert "<td>20.0</td><td>300</td><td>0.0028 h</td><td>0.0050 h</td><td>7,200</td>" in unlinked


def test_paper_and_ours_are_told_apart():
    assert blocks.table([{"method": "m", "union": "41.4 | 50.0 ±2"}]).count("class=") == 3
    assert '<span class="paper">41.4</span> | <span class="ours">50.0 ±2</span>' in blocks.table(
        [{"method": "m", "union": "41.4 | 50.0 ±2"}]
    )


def test_each_caption_that_snakemake_shows_exists():
    rules = (ROOT / "workflow/rules/results.smk").read_text()
    for name in re.findall(r'caption="\.\./report/(\w+)\.rst"', rules):
        assert (ROOT / f"workflow/report/{name}.rst").read_text().strip()
