"""The command line: what the user can mend is one line and status 2, a bug keeps its traceback."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, run, small, workspace, write_params

import mngac
from mngac.cli import main
from mngac.evaluation.loop import AttackFailed
from mngac.params.checks import load
from mngac.pipeline.jobs import job
from mngac.pipeline.stages import STAGES
from mngac.results.records import RecordError

VALUES = {
    "dataset": "digits",
    "method": "nat",
    "suite": "apgd",
    "unforeseen": "digits",
    "profile": "standard",
    "shard": "1-of-2",
    "certificate": "crown",
}
SEEDED = [name for name, stage in STAGES.items() if "seed" in stage.wildcards]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with small parameters, and nothing made yet."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, small())
    return tmp_path


@pytest.mark.parametrize("first", [[], ["explain"]], ids=["run", "explain"])
@pytest.mark.parametrize("stage", SEEDED)
@pytest.mark.parametrize("seed", ["x", "-3", "1.5", "07", "٣", "9" * 400])
def test_a_seed_that_is_no_number_is_refused_in_one_line(project, capsys, first, stage, seed):
    wildcards = [f"--{name}={VALUES[name]}" for name in STAGES[stage].wildcards if name != "seed"]
    assert main([*first, stage, *wildcards, f"--seed={seed}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mngac: --seed: found ") and said.endswith("9, without leading zeros\n")
    assert said.count("\n") == 1 and len(said) < 200
    assert not (project / ".mngac").exists()


def test_the_package_is_a_command_and_has_one_version(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mngac", "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"mngac {mngac.__version__}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "mngac.__version__"}
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == mngac.__version__


METHOD = """from mngac.methods.base import Base


class Method(Base):
    def loss(self, classifier, batch, step):
        raise {error}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A workspace with digits and a method of one's own that raises what a test writes into it."""
    raw = small(methods=("nat",))
    raw["methods"]["own"] = {"kind": "own"}
    raw["run"]["methods"] = ["own"]
    folder = workspace(tmp_path_factory.mktemp("own") / "w", raw)
    (folder / "mngac/methods/own.py").write_text(METHOD.format(error="KeyError"))
    run(folder, sys.executable, "-m", "mngac", "data", "--dataset", "digits")
    return folder


def trained(folder, error):
    """Trains with a method that raises; how the command ended, and what the stage's log says."""
    (folder / "mngac/methods/own.py").write_text(METHOD.format(error=error))
    log = folder / "logs/train/digits-own-0.log"
    log.unlink(missing_ok=True)
    train = ("train", "--dataset", "digits", "--method", "own", "--seed", "0")
    return run(folder, sys.executable, "-m", "mngac", *train, check=False), log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", ["RuntimeError('no such luck')", "ValueError('no such luck')", "KeyError('no such luck')"]
)
def test_a_bug_in_a_method_keeps_its_traceback_on_the_terminal_and_in_the_log(own, error):
    done, log = trained(own, error)
    assert done.returncode == 1
    for text in (done.stderr, log):
        assert "Traceback" in text and 'methods/own.py", line 6, in loss' in text and "no such luck" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        "__import__('mngac.params.errors').params.errors.DataError('no such luck')",
        "__import__('mngac.params.errors').params.errors.ParamsError('no such luck')",
    ],
)
def test_what_the_user_can_mend_is_one_line_on_the_terminal_and_in_the_log(own, error):
    done, log = trained(own, error)
    assert done.returncode == 2
    for text in (done.stderr, log):
        assert text.count("\n") == 1 and text.endswith("no such luck\n")


@pytest.mark.slow
def test_an_oserror_is_one_line_on_the_terminal_and_a_traceback_in_the_log(own):
    done, log = trained(own, "FileNotFoundError('no such luck')")
    assert done.returncode == 2 and done.stderr == "mngac: no such luck\n"
    *traceback, last = log.splitlines()
    assert 'methods/own.py", line 6, in loss' in "\n".join(traceback)
    assert traceback[-1] == "FileNotFoundError: no such luck"
    assert last.endswith(": FileNotFoundError: no such luck in " + f"{own / 'mngac/methods/own.py'}, line 6")


def test_a_reader_that_has_gone_is_no_error(project):
    """As `mngac schema | head -1` has it."""
    command = [sys.executable, "-m", "mngac", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        asked.stdout.close()
        assert (asked.stderr.read(), asked.wait()) == (b"", 141)


def test_a_folder_in_the_place_of_a_file_is_named_by_its_name(project, capsys):
    Path("there").mkdir()
    for command in (["schema", "--out", "there"], ["cache", "export", "--all", "there"]):
        assert main(command) == 2
        assert capsys.readouterr().err == "mngac: there: found a folder; name a file\n"


def test_an_empty_file_of_parameters_is_refused_by_its_name(project, capsys):
    Path("empty.yaml").write_text("")
    assert main(["--params", "empty.yaml", "status"]) == 2
    assert capsys.readouterr().err.startswith("mngac: empty.yaml: found null; allowed: its sections")


def test_an_attack_that_raises_leaves_its_own_traceback_in_the_log_of_the_evaluation(project, monkeypatch):
    def out_of_luck(*_):
        raise RuntimeError("no such luck")

    params = load()
    job(params, "data", dataset="digits").run()
    job(params, "train", dataset="digits", method="nat", seed="0").run()
    monkeypatch.setattr("mngac.evaluation.attacks.apgd_ce.attack", out_of_luck)
    evaluation = job(params, "evaluate", **VALUES, seed="0")
    with pytest.raises(AttackFailed):
        evaluation.run()
    said = (project / evaluation.log).read_text()
    assert "in out_of_luck" in said and "AttackFailed: apgd_ce linf 0 on images " in said


def test_records_that_can_not_share_a_table_are_the_users_to_mend(project, capsys, monkeypatch):
    def mixed(self):
        raise RecordError("records of different n can't stand in one table")

    monkeypatch.setattr("mngac.pipeline.jobs.Job.run", mixed)
    assert main(["tables"]) == 2
    assert capsys.readouterr().err == "mngac: records of different n can't stand in one table\n"


@pytest.mark.parametrize(
    ("stage", "method", "other"),
    [
        ("train", "rst_linf", "train_semi"),
        ("train_semi", "nat", "train"),
        ("train", "eat_ft", "train_tuned"),
        ("train_semi", "eat_ft", "train_tuned"),
    ],
)
def test_a_method_is_trained_by_the_stage_that_the_run_trains_it_with(project, capsys, stage, method, other):
    tuned = [{"method": "eat_ft", "start": "nat"}]
    write_params(project, small(methods=("nat",), semi=("rst_linf",), tuned=tuned))
    assert main([stage, "--dataset", "digits", "--method", method, "--seed", "0"]) == 2
    assert capsys.readouterr().err.endswith(f"; allowed: mngac {other} for it\n")


def test_only_what_the_run_says_a_start_of_is_fine_tuned(project, capsys):
    write_params(project, small(methods=("nat",), tuned=[{"method": "eat_ft", "start": "nat"}]))
    assert main(["train_tuned", "--dataset", "digits", "--method", "soup", "--seed", "0"]) == 2
    said = '--method: found "soup"; allowed: methods of run.tuned, which says where they start: eat_ft\n'
    assert capsys.readouterr().err.endswith(said)
