"""Certificates under both engines: the same files from one cache, and nothing is certified twice."""

import csv
import shutil

import pytest
from auto_lirpa import needs_auto_lirpa
from helpers import run, small, workspace, write_params
from outputs import outputs

from mngac.certificates.bounds import NAMED, interpreter
from mngac.pipeline.cache import Cache
from mngac.results import certificates

pytestmark = [pytest.mark.slow, needs_auto_lirpa]


def certified(folder):
    return [e.name for e in Cache(folder / "cache").entries() if e.about["parts"]["stage"] == "certify"]


def test_both_engines_make_the_same_table_and_certify_once(tmp_path, monkeypatch):
    monkeypatch.setenv(NAMED, str(interpreter()))
    raw = small(methods=("nat",), semi=("rst_linf",), certificates=["crown"])
    raw["certificates"]["crown"] |= {"factors": [0.01], "n": 4}
    folder = workspace(tmp_path / "w", raw)
    run(folder, "git", "init", "-q")
    run(folder, "snakemake", "--cores", "1", "results/tables/certified-crown.md")
    by_snakemake, once = outputs(folder), certified(folder)
    assert len(once) == 2
    lines = list(csv.DictReader((folder / "results/tables/certified-crown.csv").open()))
    assert {line["method"] for line in lines} == {"nat", "rst_linf"}
    assert {line["norm"] for line in lines} == {"linf", "l1", "l2", "union"}
    assert all(float(line["certified"]) <= float(line["attacked"]) <= float(line["clean"]) for line in lines)
    found = certificates.read(folder / "certificates/digits/nat/seed0/crown-standard.json")
    assert any(found.certified("0.01", "linf")) and found.rounding < 0.1 * found.slack
    for name in ("data", "trained", "certificates", "results"):
        shutil.rmtree(folder / name)
    run(folder, "dvc", "repro", "certified_table")
    assert outputs(folder) == by_snakemake and certified(folder) == once
    raw["run"]["certificates"] = []
    write_params(folder, raw)
    done = run(folder, "snakemake", "-n", "--cores", "1")
    assert "certify" not in done.stdout + done.stderr
