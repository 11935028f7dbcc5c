"""One's own run against known records: hand-made accuracies, the interval by scipy, and what lies outside."""

import json
import tarfile

import pytest
from helpers import raw_params
from results_workspace import record
from scipy.stats import t

from mngac import cli
from mngac.params.checks import parse
from mngac.pipeline.paths import record_path
from mngac.results.records import RecordError
from mngac.results.verify import ALL, COLUMNS, verify


def write(folder, method, seed, share, **changes):
    content = {**record(method, share, 10.0), "seed": seed, **changes}
    path = folder / record_path({k: str(content[k]) for k in ("dataset", "method", "seed", "suite", "profile")})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of seed 0, and a folder of known records of seeds 10 to 12, of 20 images each."""
    monkeypatch.chdir(tmp_path)
    for method, shares in {"mng_ac": (8, 9, 10), "sat": (6, 8, 7)}.items():
        for seed, share in enumerate(shares, 10):
            write(tmp_path / "known", method, seed, share)
    write(tmp_path, "mng_ac", 0, 10)
    write(tmp_path, "sat", 0, 7)
    raw = raw_params()
    raw["run"] |= {"suites": ["apgd"]}
    (tmp_path / "params.yaml").write_text(json.dumps(raw))
    return parse(raw)


def test_a_difference_and_its_interval_are_those_of_a_new_seed_by_hand(run):
    text, outside = verify(run, "known")
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines() if line.startswith("|")}
    union = dict(zip(COLUMNS, rows["mng_ac"], strict=True))["union"].strip()
    half = t.ppf(1 - 0.05 / 2 / 15, 2) * 5.0 * (1 + 1 / 3) ** 0.5
    assert union == f"+5.0 ±{half:.1f}" and outside == []
    mean = dict(zip(COLUMNS, rows[ALL], strict=True))["union"].strip()
    deviation = 100 / 20 * ((7 - 8) ** 2 / 3 + (8.5 - 8) ** 2 / 3 + (8.5 - 8) ** 2 / 3) ** 0.5 * (3 / 2) ** 0.5
    assert mean == f"+2.5 ±{half / 5 * deviation:.1f}"


def test_a_run_far_outside_ends_with_one_line_that_names_it(run, tmp_path, capsys):
    write(tmp_path, "sat", 0, 18)
    for seed, share in enumerate((6, 7, 6, 7, 7, 6, 6, 7), 20):
        write(tmp_path / "known", "sat", seed, share)
    assert cli.main(["verify", "known"]) == 2
    said = capsys.readouterr()
    assert "sat union" in said.err and said.err.count("\n") == 1 and "!" in said.out and "mng_ac" not in said.err


def test_an_archive_says_what_its_folder_says(run, tmp_path):
    with tarfile.open("known.tar.xz", "w:xz") as tar:
        tar.add("known/records", "records")
    texts = [verify(run, source)[0].replace("known.tar.xz", "known").split() for source in ("known.tar.xz", "known")]
    assert texts[0] == texts[1]


def test_what_cannot_be_held_against_each_other_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="found no record; allowed"):
        verify(run, "empty")
    (tmp_path / "no.tar").write_text("no")
    with pytest.raises(RecordError, match="allowed: a folder or a tar"):
        verify(run, "no.tar")
    write(tmp_path / "other", "mng_ac", 10, 5, n=20, split="validation")
    write(tmp_path / "other", "mng_ac", 11, 6, n=20, split="validation")
    with pytest.raises(RecordError, match="differ in their split"):
        verify(run, "other")
    write(tmp_path / "one", "mng_ac", 10, 5)
    with pytest.raises(RecordError, match="1 known seed"):
        verify(run, "one")
    write(tmp_path / "of_others", "eat", 10, 5)
    with pytest.raises(RecordError, match="no record of this run"):
        verify(run, "of_others")
