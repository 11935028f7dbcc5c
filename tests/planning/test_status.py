"""`mngac status`: each job where it stands, and what comes next."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from helpers import run, small, workspace

from mngac.params.checks import load
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import job
from mngac.pipeline.lease import leased
from mngac.planning.status import Standing, status, text


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A project with its data set, one of two trainings, and what they need in a cache."""
    folder = workspace(tmp_path_factory.mktemp("begun") / "project", small(methods=("nat", "adv_linf")))
    run(folder, "mngac", "data", "--dataset", "digits")
    run(folder, "mngac", "train", "--dataset", "digits", "--method", "nat", "--seed", "0")
    return folder


@pytest.fixture
def here(begun, monkeypatch):
    """The project as the working folder, with its own cache; logs of adv_linf are as they were before."""
    monkeypatch.chdir(begun)
    monkeypatch.setenv("MNGAC_CACHE", str(begun / "cache"))
    yield load()
    for log in (begun / "logs/train").glob("digits-adv_linf-*"):
        log.unlink()


def standing(params, stage="train", method="adv_linf"):
    """Where a job stands, and what is said of it."""
    [found] = [each for each in status(params, Cache()) if each.job.stage.name == stage and method in each.job.name]
    return found.standing, found.said


def log(line):
    with open("logs/train/digits-adv_linf-0.log", "a") as file:
        file.write(f"2026-01-02 03:04:05 {line}\n")


def test_what_is_there_is_done_and_what_comes_after_what_is_missing_waits(here):
    found = {(each.job.stage.name, each.job.name): each.standing for each in status(here, Cache())}
    assert found["data", "digits"] == found["train", "digits-nat-0"] == Standing.DONE
    assert found["train", "digits-adv_linf-0"] == found["evaluate", "digits-nat-0-apgd-standard"] == Standing.WAITING
    assert found["tables", "tables"] == Standing.WAITING
    page = text(status(here, Cache()))
    assert max(map(len, page.splitlines())) <= 100
    [row] = [line.split() for line in page.splitlines() if line.startswith("train")]
    assert row == ["train", "1", "1"]
    assert page.endswith(
        "next: snakemake --cores all, or: dvc repro; what there is in tables: mngac tables --partial\n"
    )


def test_outputs_that_the_cache_has_and_this_folder_lacks_are_in_the_cache(here):
    Path("trained/digits/nat/seed0/train.json").rename("elsewhere")
    try:
        assert standing(here, method="nat")[0] == Standing.CACHED
    finally:
        Path("elsewhere").rename("trained/digits/nat/seed0/train.json")


def test_files_of_other_parameters_are_not_done(here):
    path = Path("trained/digits/nat/seed0/train.json")
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"epochs": 1', b'"epochs": 2'))
    assert path.read_bytes() != kept
    try:
        assert standing(here, method="nat")[0] == Standing.CACHED
    finally:
        path.write_bytes(kept)


def test_a_lease_on_another_host_counts_while_it_is_touched(here):
    cache, asked = Cache(), job(here, "train", dataset="digits", method="adv_linf", seed="0")
    lease = cache.make(cache.leases) / f"{key_of(asked.key_parts())}.json"
    process = {"pid": 1, "host": "node17", "kernel": "0" * 12, "started": 1.0}
    lease.write_text(json.dumps({"process": process, "since": 1.0, "mark": "x"}))
    try:
        where, said = standing(here)
        assert where == Standing.RUNNING and "on node17" in said
        os.utime(lease, (1.0, 1.0))
        assert standing(here)[0] == Standing.WAITING
    finally:
        lease.unlink()


def test_a_job_whose_lease_is_held_runs_and_it_is_said_where(here):
    cache, asked = Cache(), job(here, "train", dataset="digits", method="adv_linf", seed="0")
    log("epoch 3/30  loss 1.2")
    with leased(cache.make(cache.leases), key_of(asked.key_parts()), print):
        where, said = standing(here)
        assert (
            where == Standing.RUNNING and f"process {os.getpid()} on " in said and said.endswith("epoch 3/30  loss 1.2")
        )
        page = text(status(here, cache))
        assert "running:\n  train digits-adv_linf-0: process" in page and page.splitlines()[-1].startswith(
            "it is at work"
        )
    assert standing(here)[0] == Standing.WAITING


def test_what_failed_and_what_was_stopped_is_told_with_its_last_line(here):
    log("train digits-adv_linf-0: stopped; epoch 2 of 30 is saved, and the same command resumes from there")
    assert standing(here)[0] == Standing.STOPPED
    log("failed: the disk is full")
    assert standing(here) == (Standing.FAILED, "the disk is full (logs/train/digits-adv_linf-0.log)")
    page = text(status(here, Cache()))
    assert "failed:\n  train digits-adv_linf-0: the disk is full (logs/" in page
    assert "next: mend what failed, then: snakemake" in page


def test_what_failed_with_other_inputs_is_to_be_made(here):
    key = key_of(job(here, "train", dataset="digits", method="adv_linf", seed="0").key_parts())
    log(f"failed (key {key[:12]}): no such luck")
    assert standing(here) == (Standing.FAILED, "no such luck (logs/train/digits-adv_linf-0.log)")
    log(f"failed (key {'0' * 12}): no such luck")
    assert standing(here)[0] == Standing.WAITING and "no such luck" not in text(status(here, Cache()))


def test_a_stage_that_fails_says_so_in_the_last_line_of_its_log(here, monkeypatch):
    Path("data/digits.safetensors").rename("elsewhere")
    Path("data/digits.safetensors").write_text("rubbish")
    try:
        run(Path.cwd(), "mngac", "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0", check=False)
        last = Path("logs/train/digits-adv_linf-0.log").read_text().splitlines()[-1]
        assert re.search(r" failed \(key [0-9a-f]{12}\): data/digits\.safetensors: ", last)
    finally:
        Path("elsewhere").replace("data/digits.safetensors")


def test_tables_of_what_is_there_name_records_of_other_parameters(here, begun):
    """A copy, since its records and its cache are changed."""
    copy = shutil.copytree(begun, begun.with_name("older"), symlinks=True)
    about = dict(dataset="digits", method="nat", seed="0", suite="apgd", profile="standard")
    options = [part for name, value in about.items() for part in (f"--{name}", value)]
    run(copy, "mngac", "evaluate", *options)
    assert "Made with other" not in run(copy, "mngac", "tables", "--partial").stdout
    text = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(text.replace("weight_decay: 0.0005", "weight_decay: 0.0004"))
    said = " ".join(run(copy, "mngac", "tables", "--partial").stdout.split())
    assert said.endswith("than the run has now: digits/nat/seed0/apgd-standard.")


@pytest.mark.slow
def test_when_all_of_it_is_there_the_page_says_where(here, begun):
    run(begun, "snakemake", "--cores", "2")
    page = run(begun, "mngac", "status").stdout
    assert page.endswith("all of it is there: results/tables, results/figures, results/report.html\n")
    assert "to make" not in page
