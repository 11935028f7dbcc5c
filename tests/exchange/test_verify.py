"""One's own run against known records: hand-made accuracies, the interval by scipy, and what lies outside."""

import json
import random
import tarfile

import pytest
from helpers import raw_params
from results_workspace import record
from scipy.stats import t

from mngac import cli
from mngac.exchange.verify import ALL, COLUMNS, Cell, verify
from mngac.params.checks import parse
from mngac.params.errors import DataError
from mngac.pipeline.paths import record_path
from mngac.results.printed import DASH
from mngac.results.records import RecordError

KNOWN = {"mng_ac": (8, 9, 10), "sat": (6, 8, 7)}
"""Of 20 images, how many each of the seeds 10 to 12 withstood; two more withstand l_2 alone; all are correct clean."""


def write(folder, method, seed, share, **changes):
    content = {**record(method, share, 10.0), "seed": seed, **changes}
    path = folder / record_path({k: str(content[k]) for k in ("dataset", "method", "seed", "suite", "profile")})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of seed 0, and a folder of known records."""
    monkeypatch.chdir(tmp_path)
    for method, shares in KNOWN.items():
        for seed, share in enumerate(shares, 10):
            write(tmp_path / "known", method, seed, share)
    write(tmp_path, "mng_ac", 0, 10)
    write(tmp_path, "sat", 0, 7)
    raw = raw_params()
    raw["run"] |= {"suites": ["apgd"], "seeds": [0, 1]}
    (tmp_path / "params.yaml").write_text(json.dumps(raw))
    return parse(raw)


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {name: dict(zip(COLUMNS, rest, strict=True)) for name, *rest in cells[2:]}


def test_a_difference_and_its_interval_are_those_of_a_new_seed_by_hand(run):
    """Clean accuracy is alike for all seeds: four columns of two rows and their mean are judged, together."""
    text, outside = verify(run, "known")
    rows, quantile = rows_of(text), t.ppf(1 - 0.05 / 2 / 12, 2)
    assert outside == [] and "All within." in text and "all 12 cells together" in " ".join(text.split())
    assert rows["mng_ac"]["union"] == f"+5.0 ±{quantile * 5 * (1 + 1 / 3) ** 0.5:.1f}"
    deviation = 5 * (((7 - 8) ** 2 + 2 * (8.5 - 8) ** 2) / 2) ** 0.5
    assert rows[ALL]["union"] == f"+2.5 ±{quantile * deviation * (1 + 1 / 3) ** 0.5:.1f}"
    assert {row["clean"] for row in rows.values()} == {DASH}


def test_of_runs_that_differ_by_seeds_alone_95_in_100_lie_within():
    draw, beyond = random.Random(0), 0
    for _ in range(4000):
        cells = [Cell("r", "union", [draw.gauss(40, 2)], [draw.gauss(40, 2) for _ in range(10)]) for _ in range(5)]
        beyond += any(abs(cell.difference) > cell.explained(len(cells)) for cell in cells)
    assert beyond / 4000 == pytest.approx(0.05, abs=0.012)


def test_a_run_far_outside_ends_with_one_line_that_names_it(run, tmp_path, capsys):
    write(tmp_path, "sat", 0, 18)
    for seed, share in enumerate((6, 7, 6, 7, 7, 6, 6, 7), 20):
        write(tmp_path / "known", "sat", seed, share)
    assert cli.main(["verify", "known"]) == 2
    said = capsys.readouterr()
    assert "sat union" in said.err and said.err.count("\n") == 1 and "mng_ac" not in said.err
    assert rows_of(said.out)["sat"]["union"].endswith("!") and "OUTSIDE: " in said.out


def test_an_archive_says_what_its_folder_says(run, tmp_path):
    with tarfile.open("known.tar.xz", "w:xz") as tar:
        tar.add("known/records", "records")
    texts = [verify(run, source)[0].replace("known.tar.xz", "known").split() for source in ("known.tar.xz", "known")]
    assert texts[0] == texts[1]


def test_what_one_side_lacks_is_a_dash_and_named(run, tmp_path):
    """Norms that a suite leaves out, rows that the run has not, seeds that two rows do not share."""
    for seed in (10, 11, 12):
        attacks = [a for a in record("eat", 5 + seed % 2, 1.0)["attacks"] if a["norm"] != "l2"]
        write(tmp_path / "known", "eat", seed, 5, attacks=attacks)
    write(tmp_path, "sat", 1, 7)
    (tmp_path / "records/digits/sat/seed0/apgd-standard.json").unlink()
    text, _ = verify(run, "known")
    rows = rows_of(text)
    assert "Not in this run: eat." in " ".join(text.split())
    assert set(rows[ALL].values()) == {DASH} and rows["sat"]["union"] != DASH
    raw = raw_params()
    raw["run"] |= {"suites": ["apgd"], "methods": ["eat"], "semi_methods": [], "teachers": []}
    write(tmp_path, "eat", 0, 5, attacks=attacks)
    rows = rows_of(verify(parse(raw), "known")[0])
    assert rows["eat"]["l2"] == rows["eat"]["union"] == DASH and rows["eat"]["linf"].startswith("-1.7 ±")


def test_seeds_that_both_have_tell_nothing_and_other_attack_code_is_told(run, tmp_path):
    before, outside = verify(run, "known")
    write(tmp_path / "known", "mng_ac", 0, 10)
    again = verify(run, "known")
    assert again == (before, outside) and "different code" not in before
    write(tmp_path, "mng_ac", 0, 10, provenance={**record("mng_ac", 1, 1.0)["provenance"], "code": "d" * 64})
    assert "Attacked by different code." in verify(run, "known")[0]


def test_what_cannot_be_held_against_each_other_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="found no record; allowed"):
        verify(run, "empty")
    (tmp_path / "no.tar").write_text("no")
    with pytest.raises(DataError, match=r"no\.tar: truncated, broken or no tar"):
        verify(run, "no.tar")
    for seed in (10, 11):
        write(tmp_path / "other", "mng_ac", seed, 5, split="validation")
    with pytest.raises(RecordError, match="differ in their split"):
        verify(run, "other")
    write(tmp_path / "twice/a", "mng_ac", 10, 5)
    write(tmp_path / "twice/b", "mng_ac", 10, 6)
    with pytest.raises(RecordError, match="found a second record of digits/mng_ac/seed10"):
        verify(run, "twice")
    write(tmp_path / "of_others", "eat", 10, 5)
    with pytest.raises(RecordError, match="no record of this run"):
        verify(run, "of_others")
    write(tmp_path / "alone", "mng_ac", 10, 5)
    with pytest.raises(RecordError, match="found no two other seeds of a row of this run"):
        verify(run, "alone")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.json").write_text("{")
    with pytest.raises(RecordError, match=r"broken/a\.json: .*allowed: a record"):
        verify(run, "broken")
