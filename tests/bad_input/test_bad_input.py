"""Whatever the user gets wrong: status 2, one line of at most 300 characters that says what, where and what to do.

Nothing is half written: but for logs and stamps, the folder holds what it held. The cases are tables, a file a subject;
to add one, add its line there.
"""

import inspect
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from bad_input import checkpoints, commands, environment, inputs, params, project, records
from helpers import ROOT

from mngac.cli import main
from mngac.params.shipped import commit

TABLES = (params, commands, inputs, checkpoints, records, environment)
TABLE = [
    pytest.param(*case[1:], id=f"{table.__name__.split('.')[-1]}: {case[0]}")
    for table in TABLES
    for case in table.CASES
]


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return project.build(tmp_path_factory.mktemp("right"))


@pytest.fixture
def here(right, tmp_path, monkeypatch):
    """A copy of the right project, as the working folder; the cache lies elsewhere."""
    folder = tmp_path / "project"
    shutil.copytree(right, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    return folder


def held(folder):
    """Every file of a folder with its content, but for logs, stamps and the lines of terminals."""
    every = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in every.items() if not name.startswith(("logs/", ".mngac/"))}


def test_there_are_many_cases_and_no_two_have_one_name():
    names = [param.id for param in TABLE]
    assert len(names) >= 150 and len(set(names)) == len(names)


@pytest.mark.parametrize(("command", "says", "spoil"), TABLE)
def test_it_is_refused_in_one_line_and_nothing_is_written(here, tmp_path, monkeypatch, capfd, command, says, spoil):
    spoil(here, monkeypatch) if len(inspect.signature(spoil).parameters) == 2 else spoil(here)
    before = held(here)
    capfd.readouterr()
    status = main(shlex.split(command))
    monkeypatch.undo()
    said = capfd.readouterr().err
    assert (status, said.count("\n"), said[:7]) == (2, 1, "mngac: "), said
    assert len(said) <= 301 and said[:-1].isprintable()
    for part in says:
        assert part in said, said
    assert held(here) == before
    assert not list((tmp_path / "cache").glob("entries/*/*"))


def run_without(folder, code, *command, **env):
    """A command in a process of its own, after some code has taken something away from it."""
    lines = ["import runpy, sys", code, f"sys.argv = ['mngac', *{list(command)!r}]"]
    start = "\n".join([*lines, "runpy.run_module('mngac', run_name='__main__')"])
    given = {**os.environ, "PYTHONPATH": str(ROOT), "MNGAC_CACHE": str(folder.parent / "cache"), **env}
    return subprocess.run([sys.executable, "-c", start], cwd=folder, env=given, capture_output=True, text=True)


WITHOUT = [
    ("sys.version_info = (3, 10, 4)", "found Python 3.10.4; allowed: Python 3.11 or later"),
    *(
        (f"sys.modules['{name}'] = None", f"the package {name} is not installed; run: pip install --requirement")
        for name in ("filelock", "pydantic", "torch", "tqdm", "yaml")
    ),
]


@pytest.mark.parametrize(("code", "said"), WITHOUT)
def test_a_machine_that_lacks_something_is_told_in_one_line(here, code, said):
    before = held(here)
    done = run_without(here, code, "data", "--dataset", "digits")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"mngac: {said}")
    assert held(here) == before


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"
