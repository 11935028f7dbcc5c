"""The Dockerfile names what is there and installs the pins; `make container-test` takes its steps."""

import re
import tomllib
from pathlib import Path

from container import instructions
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mngac.pipeline import gpus

ROOT = Path(__file__).parent.parent
STEPS = instructions((ROOT / "Dockerfile").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def given(name):
    return [arguments for step, arguments in STEPS if step == name]


def test_what_it_copies_is_there():
    copied = [path for arguments in given("COPY") for path in arguments.split()[:-1]]
    assert copied and all((ROOT / path).exists() for path in copied)
    named = {path for run in given("RUN") for path in re.findall(r"/opt/mngac/?(\S*)", run)}
    assert named and all((ROOT / path).exists() for path in named)


def test_it_installs_the_pins_and_the_package_and_nothing_else():
    installs = [
        part.split("install", 1)[1].split() for run in given("RUN") for part in run.split("&&") if "pip install" in part
    ]
    assert installs == [
        ["--no-cache-dir", "--requirement", "/opt/mngac/requirements.lock"],
        ["--no-cache-dir", "--no-deps", "--editable", "/opt/mngac"],
    ]


def test_the_pins_are_exact_and_meet_what_the_package_asks_for():
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    assert all([each.operator for each in pin.specifier] == ["=="] for pin in pins)
    pinned = {pin.name: next(iter(pin.specifier)).version for pin in pins if not pin.marker or pin.marker.evaluate()}
    for wanted in map(Requirement, PROJECT["dependencies"]):
        assert wanted.specifier.contains(pinned[wanted.name]), wanted


def test_its_python_is_one_that_the_package_runs_on():
    version = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", given("FROM")[0])[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_it_ends_as_a_user_in_a_workspace_that_is_a_volume_beside_the_cache():
    last = dict(STEPS)
    assert last["USER"] != "root" and last["WORKDIR"] == "/workspace"
    assert last["VOLUME"] == '["/workspace", "/cache"]' and "MNGAC_CACHE=/cache" in last["ENV"]


def test_what_git_ignores_goes_into_no_image():
    ignored = {line.strip("/").replace("!/", "!") for line in (ROOT / ".gitignore").read_text().splitlines()}
    left_out = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    caches = {".pytest_cache", ".mypy_cache", ".ruff_cache"}  # .*_cache
    assert ignored - caches <= left_out and {".*_cache", ".git"} <= left_out


def test_containers_of_one_machine_see_the_folder_where_gpus_are_leased(monkeypatch):
    monkeypatch.delenv("MNGAC_LOCKS", raising=False)
    folder = gpus.default()
    assert f"--volume {folder}:{folder}" in (ROOT / "docs/container.md").read_text()
