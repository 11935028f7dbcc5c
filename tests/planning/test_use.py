"""`mngac use`: params.yaml takes an overlay over, says what changed, and keeps its comments and its form."""

import re
import subprocess

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from helpers import ROOT, raw_params

from mngac.cli import main
from mngac.params.checks import load
from mngac.params.overlay import laid

TEXT = (ROOT / "params.yaml").read_text()
EVERYWHERE = """
over: params.yaml
run: {datasets: [cifar10, svhn], seeds: [0, 1, 2], device: cuda}
data: {birds: {loader: folder, source: birds, validation: 0.1, unlabelled: 0}}
training: {cifar10: {epochs: 20, attack: {l1: {steps: 7}}}, default: {weight_decay: 0.0006}}
methods: {mng_ac: {beta: 4}}
evaluation: {autoattack: {processes: 3, compile: true}}
figures: {classes: [0, 1, 2], panel_images: 4}
"""


@pytest.fixture
def use(tmp_path, monkeypatch, capsys):
    """Runs `mngac use` on an overlay in a folder with the project's params.yaml: its status, and what it prints."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(TEXT)

    def run(text):
        (tmp_path / "over.yaml").write_text(text)
        status = main(["use", "over.yaml"])
        said = capsys.readouterr()
        return status, said.out or said.err

    return run


def comments(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith("#")]


def test_params_then_say_what_the_overlay_laid_over_them_says(use, tmp_path):
    wanted = laid(str(ROOT / "params/paper.yaml"))
    (tmp_path / "params.yaml").write_text(TEXT)
    assert use((ROOT / "params/paper.yaml").read_text())[0] == 0
    assert yaml.safe_load((tmp_path / "params.yaml").read_text()) == wanted.whole
    assert load("params.yaml") == wanted.params


@pytest.mark.parametrize("overlay", [EVERYWHERE, *[p.read_text() for p in sorted((ROOT / "params").glob("*.yaml"))]])
def test_comments_stay_and_the_form_is_dvcs(use, tmp_path, overlay):
    assert use(overlay)[0] == 0
    written = (tmp_path / "params.yaml").read_text()
    assert comments(written) == comments(TEXT)
    apply_overrides(str(tmp_path / "params.yaml"), [])
    assert (tmp_path / "params.yaml").read_text() == written


def test_a_comment_stays_before_what_it_is_about(use, tmp_path):
    use(EVERYWHERE)
    written, after = (tmp_path / "params.yaml").read_text(), r"(?m)^ *#.*\n(?: *#.*\n)*(.*)$"
    assert re.findall(after, written) == re.findall(after, TEXT)


def test_each_value_that_changed_is_said_and_no_other(use):
    status, said = use(EVERYWHERE)
    lines = said.splitlines()
    assert status == 0 and 'run.datasets: ["digits"] -> ["cifar10", "svhn"]' in lines
    assert "methods.mng_ac.beta: 12 -> 4" in lines and "evaluation.autoattack.processes: null -> 3" in lines
    assert len(lines) == 12 and lines[-1] == "params.yaml: 11 values changed; not committed: keep the lines above"


@pytest.mark.parametrize("committed", [False, True])
def test_it_says_how_to_go_back_where_git_can(use, tmp_path, committed):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q", str(tmp_path)], check=True)
    if committed:
        subprocess.run([*git, "add", "params.yaml"], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "begin"], cwd=tmp_path, check=True)
    last = use(EVERYWHERE)[1].splitlines()[-1]
    back = "as it was committed: git restore params.yaml" if committed else "not committed: keep the lines above"
    assert last == f"params.yaml: 11 values changed; {back}"
    if committed:
        subprocess.run(["git", "restore", "params.yaml"], cwd=tmp_path, check=True)
        assert (tmp_path / "params.yaml").read_text() == TEXT


def test_twice_changes_nothing_more(use, tmp_path):
    use(EVERYWHERE)
    before = (tmp_path / "params.yaml").stat().st_mtime_ns
    status, said = use(EVERYWHERE)
    assert status == 0 and said == "over.yaml: params.yaml says all of it already\n"
    assert (tmp_path / "params.yaml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "text", ["over: params.yaml\nrun: {seeds: []}", "over: params.yaml\nx: 1", "run: {seeds: [1]}"]
)
def test_what_would_be_wrong_is_refused_in_one_line_and_nothing_is_written(use, tmp_path, text):
    status, said = use(text)
    assert status == 2 and said.startswith("mngac: over.yaml: ") and said.count("\n") == 1
    assert (tmp_path / "params.yaml").read_text() == TEXT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["over.yaml", "params.yaml"]


def test_values_that_stay_keep_their_lines(use, tmp_path):
    use("over: params.yaml\nrun: {seeds: [3]}\n")
    assert (tmp_path / "params.yaml").read_text() == TEXT.replace("  seeds:\n  - 0\n", "  seeds:\n  - 3\n")
    assert yaml.safe_load(TEXT) == raw_params()
