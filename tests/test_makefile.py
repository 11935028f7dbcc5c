"""`make`: a right Python makes .venv, or makes a broken one anew; a wrong one is refused before anything is there."""

import os
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

FAKE = """#!/bin/sh
# A Python that says it is {version}, and whose `-m venv` makes a folder with a Python that installs nothing.
case "$1" in
  -V) echo "Python {version}" ;;
  -c) exec "{real}" -c "import sys; sys.version_info=tuple(map(int, '{version}'.split('.'))); exec(sys.argv[1])" "$2" ;;
  -m) rm -rf .venv && mkdir -p .venv/bin && printf '#!/bin/sh\\n' > .venv/bin/python && chmod +x .venv/bin/python ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, and a folder of commands that comes first on the path."""
    (tmp_path / "bin").mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def put(path, version):
    path.write_text(FAKE.format(version=version, real=sys.executable))
    path.chmod(0o755)


def make(checkout, *more):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "PYTHON")}
    env["PATH"] = f"{checkout}/bin:{env['PATH']}"
    return subprocess.run(["make", ".venv/ready", *more], cwd=checkout, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("version", ["3.9.18", "3.10.12"])
def test_a_python_too_old_is_refused_in_one_line_before_anything_is_made(checkout, version):
    put(checkout / "bin/python3", version)
    done = make(checkout)
    assert done.returncode == 2
    said, *rest = done.stderr.splitlines()
    assert said == (
        f"mngac: python3: found Python {version}; allowed: Python 3.11 or later, such as: make run PYTHON=python3.11"
    )
    assert all(line.startswith("make") for line in rest)
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_refused_in_one_line(checkout):
    done = make(checkout, "PYTHON=python9")
    assert done.returncode == 2 and done.stderr.startswith("mngac: python9: found ")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("there", ["nothing", "no python", "broken", "too old"])
def test_a_right_python_replaces_a_venv_that_is_broken_or_too_old(checkout, there):
    put(checkout / "bin/python3", "3.12.1")
    if there != "nothing":
        (checkout / ".venv/bin").mkdir(parents=True)
        (checkout / ".venv/left_over").touch()
    if there == "broken":
        (checkout / ".venv/bin/python").symlink_to("/nowhere/python3")
        (checkout / ".venv/bin/python3").symlink_to("/nowhere/python3")
    if there == "too old":
        for name in ("python", "python3"):
            put(checkout / ".venv/bin" / name, "3.9.18")
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    assert (checkout / ".venv/ready").exists() and not (checkout / ".venv/left_over").exists()


def test_the_path_may_hold_a_quote(checkout, monkeypatch):
    folder = checkout / "it's here"
    folder.mkdir()
    put(folder / "python3", "3.12.1")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    assert (checkout / ".venv/ready").exists()


def test_a_right_venv_is_kept_when_the_pins_change(checkout):
    put(checkout / "bin/python3", "3.12.1")
    make(checkout)
    (checkout / ".venv/kept").touch()
    os.utime(checkout / "requirements.lock", (2_000_000_000, 2_000_000_000))
    assert make(checkout).returncode == 0
    assert (checkout / ".venv/kept").exists()
