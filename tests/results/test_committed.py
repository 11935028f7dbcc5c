"""Results that are committed with their records: what a page prints is what the records say."""

import tarfile
from collections import defaultdict
from statistics import stdev

import pytest
from helpers import ROOT

from mngac.params.overlay import whole
from mngac.results.hypothesis import found
from mngac.results.hypothesis_table import section
from mngac.results.printed import markdown
from mngac.results.records import read
from mngac.results.rows import seed_spread
from mngac.results.tables import in_markdown, sections

ARCHIVES = sorted((ROOT / "docs/results").glob("*.tar.xz"))


def hypotheses(params, dataset):
    """Markdown and the number of rows of each hypothesis of the run."""
    for name in params.run.hypotheses:
        tested = found(params, dataset, name)
        assert all(each.seeds == params.run.seeds for each in tested.pairs)
        yield markdown([section(tested, name)]), len(tested.pairs)


def of_rows(params, dataset):
    """Markdown and the number of rows of the tables `all` and `beyond`."""
    for name in ("all", "beyond"):
        (made,) = [each for each in sections(params, name) if each.where["dataset"] == dataset]
        assert all([r.seed for r in row.records] == params.run.seeds for row in made.rows)
        yield in_markdown(params, name, [made]), len(made.rows)


def missing(page, table, count):
    """Parts of a table of so many rows that do not stand on the page, line by line and with nothing more."""
    blocks = [block for block in table.split("\n\n") if block.startswith("|")]
    assert blocks and {len(block.splitlines()) for block in blocks} == {2 + count} and count > 0
    return [block for block in blocks if f"\n\n{block}\n\n" not in page]


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_every_row_stands_on_the_page_that_names_the_records(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    with tarfile.open(archive) as tar:
        tar.extractall(filter="data")
    params = whole(str(ROOT / "params" / archive.name.replace(".tar.xz", ".yaml")))
    (page,) = [text for path in (ROOT / "docs").rglob("*.md") if archive.name in (text := path.read_text())]
    for dataset in params.run.datasets:
        shown = [missing(page, text, count) for text, count in hypotheses(params, dataset)]
        if "| cost " in page or not shown:  # one of the two tables, then
            shown.append(min((missing(page, text, count) for text, count in of_rows(params, dataset)), key=len))
        assert shown == [[]] * len(shown)


def test_the_spread_of_seeds_is_that_of_the_committed_records(tmp_path):
    stated = seed_spread()["digits"]
    with tarfile.open(ROOT / "docs/results/digits_seeds.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    unions = defaultdict(list)
    for path in tmp_path.rglob("*.json"):
        record = read(path)
        assert (record.suite, record.split) == (stated["suite"], "test")
        unions[record.method].append(record.share("union"))
    spreads = [stdev(of) for of in unions.values()]
    assert {len(of) for of in unions.values()} == {stated["seeds"]}
    assert (round(min(spreads), 1), round(max(spreads), 1)) == (stated["from"], stated["to"])
    assert stated["methods"] == f"each of {len(unions)} rows"
