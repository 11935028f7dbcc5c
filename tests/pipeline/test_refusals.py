"""Either engine refuses what is wrong with one line, and takes params.yaml alone."""

import pytest
from helpers import run, small, workspace


@pytest.mark.slow
def test_a_wrong_parameter_stops_either_engine_with_the_same_line(tmp_path):
    raw = small()
    raw["training"]["default"]["epochz"] = 3
    folder = workspace(tmp_path / "w", raw)
    run(folder, "git", "init", "-q")
    line = "training.default.epochz: unknown key"
    mngac = run(folder, "mngac", "data", "--dataset", "digits", check=False)
    assert mngac.returncode == 2 and line in mngac.stderr and mngac.stderr.count("\n") == 1
    for command in (["snakemake", "-n"], ["dvc", "repro"]):
        done = run(folder, *command, check=False)
        assert done.returncode != 0 and line in done.stderr + done.stdout


@pytest.mark.slow
def test_a_key_that_stands_twice_stops_either_engine(tmp_path):
    folder = workspace(tmp_path / "w", small())
    run(folder, "git", "init", "-q")
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("  split: test\n", "  split: validation\n  split: test\n"))
    line = "mngac: run.split: found twice, in lines "
    mngac = run(folder, "mngac", "data", "--dataset", "digits", check=False)
    assert mngac.returncode == 2 and mngac.stderr.startswith(line) and mngac.stderr.count("\n") == 1
    done = run(folder, "snakemake", "-n", check=False)
    assert done.returncode != 0 and line in done.stderr + done.stdout
    assert run(folder, "dvc", "repro", check=False).returncode != 0
    assert not (folder / ".mngac").exists()


@pytest.mark.slow
def test_snakemakes_config_options_are_refused(tmp_path):
    folder = workspace(tmp_path / "w", small())
    done = run(folder, "snakemake", "-n", "--config", "extra=1", check=False)
    assert done.returncode != 0 and "one source of truth" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_default_profile_is_found(tmp_path):
    folder = workspace(tmp_path / "w", small())
    assert "profiles/default" in run(folder, "snakemake", "-n").stderr
