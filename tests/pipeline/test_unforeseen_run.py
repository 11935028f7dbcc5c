"""Unforeseen attacks run for real, under both engines: equal results, their table, and their place in the report."""

import shutil

import pytest
from corrupted_archives import darkened, packed
from helpers import run, small, workspace
from outputs import outputs

from mngac.results import unforeseen

pytestmark = pytest.mark.slow


def raw():
    """Two methods, with pseudo-labels and without, attacked as neither trains for; the archive is made beside them."""
    found = small(methods=("nat",), semi=("rst_linf",), unforeseen=["digits"])
    found["unforeseen"]["digits"] |= {"batch_size": 8, "n": 12}
    motions = {"attack": "rotation_translation", "degrees": 20, "shift": 0.5, "angles": 3, "shifts": 3}
    mix = {"attack": "affine_linf_l1", "beta": 0.5, "steps": 8, "restarts": 2}
    pixels = {"attack": "l0", "pixels": 1, "steps": 5, "queries": 10}
    fog = {"attack": "corruptions", "corruptions": ["fog"], "sources": {"digits": "archive.tar"}}
    found["unforeseen"]["digits"]["attacks"] = [pixels, motions, mix, fog]
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two workspaces, each run by one engine from an empty cache of its own."""
    archive, folders = packed(darkened(tmp_path_factory.mktemp("archive") / "c", names=("fog",))), {}
    for engine, command in (("snakemake", ["snakemake", "--cores", "1"]), ("dvc", ["dvc", "repro"])):
        folders[engine] = workspace(tmp_path_factory.mktemp(engine) / "w", raw())
        shutil.copy(archive, folders[engine] / "archive.tar")
        run(folders[engine], "git", "init", "-q")
        run(folders[engine], *command)
    return folders


def test_both_engines_make_the_same(both):
    ours, theirs = (outputs(folder) for folder in both.values())
    assert {path for path in ours if path.startswith("unforeseen/")} == {
        f"unforeseen/digits/{method}/seed0/digits-standard.json" for method in ("nat", "rst_linf")
    }
    assert {path for path in ours if ours[path] != theirs.get(path)} == set() and set(ours) == set(theirs)


def test_afterwards_there_is_nothing_to_do(both):
    again = run(both["snakemake"], "snakemake", "--cores", "1")
    assert "Nothing to be done" in again.stdout + again.stderr
    assert "Data and pipelines are up to date" in run(both["dvc"], "dvc", "status").stdout


def test_the_table_has_a_column_an_attack_and_no_attack_is_in_the_union(both):
    folder = both["dvc"]
    text = (folder / "results/tables/unforeseen-digits.md").read_text()
    parts = [line for line in text.splitlines() if line.startswith("| nat")]
    assert sum(line.count("±") for line in parts) == 6, "clean, four attacks, and the union beside them"
    (tables,) = [line for line in (folder / "results/tables/all.md").read_text().splitlines() if "| nat" in line]
    assert parts[-1].split("|")[-2].strip() in tables, "the union is the run's own"
    record = unforeseen.read(folder / "unforeseen/digits/nat/seed0/digits-standard.json")
    assert [one.name for one in record.attacks] == ["l0", "rotation_translation", "affine_linf_l1", "corruptions"]
    assert record.attacks[-1].n == 6


def test_the_report_shows_the_table(both):
    page = (both["dvc"] / "results/report.html").read_text()
    assert "Unforeseen attacks: digits, digits, standard" in page and "none of them is a part of union" in page
