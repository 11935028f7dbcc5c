"""`dvc status` is clean after a run of either engine, whatever other runs have left in the workspace."""

import shutil
import sys

import pytest
from helpers import run, small, workspace, write_params

pytestmark = pytest.mark.slow
CLEAN = "Data and pipelines are up to date.\n"
SNAKEMAKE = ("snakemake", "--cores", "1")


def status(folder):
    return run(folder, "dvc", "status").stdout


def stages(folder):
    """Names of the stages that DVC finds changed."""
    return {line.rstrip(":") for line in status(folder).splitlines() if not line.startswith("\t") and line[-1] == ":"}


def methods(folder, *names, beta=12):
    raw = small(methods=names)
    raw["methods"]["mng_ac"]["beta"] = beta
    write_params(folder, raw)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workspace in which DVC has run."""
    folder = workspace(tmp_path_factory.mktemp("status") / "w", small())
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "repro")
    assert status(folder) == CLEAN
    return folder


def test_it_is_clean_after_either_engine_has_run_more_methods_and_fewer_again(folder):
    for engine in (SNAKEMAKE, ("dvc", "repro")):
        for names in (("nat", "mng_ac", "sat"), ("nat", "mng_ac")):
            methods(folder, *names)
            assert status(folder) != CLEAN
            run(folder, *engine)
            assert status(folder) == CLEAN, (engine, names)
    assert (folder / "records/digits/sat/seed0/apgd-standard.json").exists()


def test_files_that_the_run_does_not_name_change_nothing(folder):
    methods(folder, "nat", "mng_ac")
    run(folder, *SNAKEMAKE)
    run(folder, "mngac", "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0")
    shutil.rmtree(folder / "trained/digits/sat", ignore_errors=True)
    shutil.rmtree(folder / "records/digits/sat", ignore_errors=True)
    (folder / "results/figures/own.png").write_text("")
    assert status(folder) == CLEAN


def test_a_record_that_the_run_names_changes_what_reads_it(folder):
    run(folder, *SNAKEMAKE)
    record = folder / "records/digits/nat/seed0/apgd-standard.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed":  0'))
    assert stages(folder) == {"evaluate@digits-nat-0-apgd-standard"}  # and once that is mended, nothing else
    run(folder, "dvc", "repro")
    assert status(folder) == CLEAN


def test_what_snakemake_was_not_asked_for_is_left_for_dvc_to_find(folder):
    methods(folder, "nat", "mng_ac", beta=7)
    run(folder, *SNAKEMAKE, "trained/digits/nat/seed0/classifier.safetensors", "--forcerun", "train")
    assert "train@digits-mng_ac-0" in stages(folder)
    run(folder, "dvc", "repro")
    assert status(folder) == CLEAN


def test_where_dvc_has_never_run_snakemake_tells_it_nothing(tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("nat",)))
    run(folder, "git", "init", "-q")
    run(folder, *SNAKEMAKE, "data/digits.safetensors")
    assert not (folder / "dvc.lock").exists() and not (folder / ".dvc/cache").exists()


@pytest.mark.parametrize("why", ["dvc.lock is no YAML", "params.yaml is none any more"])
def test_a_run_that_cannot_tell_dvc_says_so_in_a_line_and_has_ended_well(folder, why):
    methods(folder, "nat", "mng_ac")
    script = "from mngac.pipeline.engines import tell_dvc; from mngac.pipeline.jobs import jobs;"
    script += "from mngac.params.checks import load; tell_dvc(lambda: jobs(load()))"
    spoilt = folder / why.split()[0]
    before = spoilt.read_text()
    spoilt.write_text("{")
    done = run(folder, sys.executable, "-c", script)
    spoilt.write_text(before)
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mngac: dvc.lock does not say what this run has made; dvc repro mends that: ")
