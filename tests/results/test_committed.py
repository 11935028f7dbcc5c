"""Results that are committed with their records: what a page prints is what the records say."""

import tarfile

import pytest
from helpers import ROOT

from mngac.params.overlay import whole
from mngac.results.hypothesis import found
from mngac.results.hypothesis_table import section
from mngac.results.printed import markdown
from mngac.results.tables import in_markdown, sections

ARCHIVES = sorted((ROOT / "docs/results").glob("*.tar.xz"))


def tables(params, dataset):
    """Markdown and the number of rows of each hypothesis of the run; of a run without any, its table `beyond`."""
    for name in params.run.hypotheses:
        tested = found(params, dataset, name)
        assert all(each.seeds == params.run.seeds for each in tested.pairs)
        yield markdown([section(tested, name)]), len(tested.pairs)
    if not params.run.hypotheses:
        (made,) = [each for each in sections(params, "beyond") if each.where["dataset"] == dataset]
        assert all([r.seed for r in row.records] == params.run.seeds for row in made.rows)
        yield in_markdown(params, "beyond", [made]), len(made.rows)


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_every_row_stands_on_the_page_that_names_the_records(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    with tarfile.open(archive) as tar:
        tar.extractall(filter="data")
    params = whole(str(ROOT / "params" / archive.name.replace(".tar.xz", ".yaml")))
    (page,) = [text for path in ARCHIVES[0].parent.glob("*.md") if archive.name in (text := path.read_text())]
    shown = [each for dataset in params.run.datasets for each in tables(params, dataset)]
    for text, count in shown:
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert rows and len(rows) % (2 + count) == 0 < count and [row for row in rows if row not in page] == []
