"""Results that are committed with their records: what a page prints is what the records say."""

import tarfile

import pytest
from helpers import ROOT

from mngac.params.overlay import whole
from mngac.results.hypothesis import found
from mngac.results.hypothesis_table import section
from mngac.results.printed import markdown

ARCHIVES = sorted((ROOT / "docs/results").glob("*.tar.xz"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_every_row_of_a_hypothesis_stands_on_the_page_that_names_the_records(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    with tarfile.open(archive) as tar:
        tar.extractall(filter="data")
    params = whole(str(ROOT / "params" / archive.name.replace(".tar.xz", ".yaml")))
    (page,) = [text for path in ARCHIVES[0].parent.glob("*.md") if archive.name in (text := path.read_text())]
    assert params.run.hypotheses
    for name in params.run.hypotheses:
        for dataset in params.run.datasets:
            tested = found(params, dataset, name)
            assert all(each.seeds == params.run.seeds for each in tested.pairs)
            rows = [line for line in markdown([section(tested, name)]).splitlines() if line.startswith("|")]
            assert len(rows) == 2 + len(tested.pairs) and [row for row in rows if row not in page] == []
