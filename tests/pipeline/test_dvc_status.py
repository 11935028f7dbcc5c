"""`dvc status` is clean after `dvc repro`, whatever other runs leave in the workspace."""

import shutil

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


MORE, FEWER = ("nat", "mng_ac", "sat"), ("nat", "mng_ac")


def test_it_is_clean_after_dvc_has_run_more_methods_and_fewer_again(folder):
    for names in (MORE, FEWER):
        methods(folder, *names)
        assert status(folder) != CLEAN
        run(folder, "dvc", "repro")
        assert status(folder) == CLEAN, names
    assert (folder / "records/digits/sat/seed0/apgd-standard.json").exists()


def test_it_stays_clean_when_snakemake_runs_more_methods_and_fewer_again(folder):
    """Twice: the second time nothing of sat is made, so that nothing of it runs but what reads all methods."""
    for _ in range(2):
        methods(folder, *MORE)
        run(folder, *SNAKEMAKE)
        assert not [
            name for name in stages(folder) if name.startswith(("data", "train@digits-nat", "train@digits-mng"))
        ]
        methods(folder, *FEWER)
        run(folder, *SNAKEMAKE)
        assert status(folder) == CLEAN
    methods(folder, *MORE)
    run(folder, *SNAKEMAKE)
    run(folder, "dvc", "repro")
    assert status(folder) == CLEAN
    methods(folder, *FEWER)
    run(folder, "dvc", "repro")


def test_files_that_the_run_does_not_name_change_nothing(folder):
    assert status(folder) == CLEAN
    run(folder, "mngac", "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0")
    run(folder, *SNAKEMAKE)
    shutil.rmtree(folder / "trained/digits/sat", ignore_errors=True)
    shutil.rmtree(folder / "records/digits/sat", ignore_errors=True)
    (folder / "results/figures/own.png").write_text("")
    run(folder, "mngac", "tables")
    assert status(folder) == CLEAN


def test_a_record_that_the_run_names_changes_what_reads_it(folder):
    record = folder / "records/digits/nat/seed0/apgd-standard.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed":  0'))
    assert stages(folder) == {"evaluate@digits-nat-0-apgd-standard"}  # and once that is mended, nothing else
    run(folder, "dvc", "repro")
    assert status(folder) == CLEAN
