"""A disk without room, as a limit on the size of files: one line, and the same command completes once there is room."""

import subprocess
import sys

import pytest
from helpers import environment, run, small, workspace

from mngac.pipeline.progress import log_to

COMMANDS = ("data", "train", "evaluate")
WHERE = {
    "data": "--dataset digits",
    "train": "--dataset digits --method mng_ac --seed 0",
    "evaluate": "--dataset digits --method mng_ac --seed 0 --suite apgd --profile standard",
}
BLOCKS = {"data": 8, "train": 16, "evaluate": 1}
"""Of 1,024 bytes: room for what a stage writes first, and not for its output."""


@pytest.mark.slow
def test_a_stage_without_room_says_so_in_one_line_and_completes_when_there_is(tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("mng_ac",)))
    for stage in COMMANDS:
        command = f"{sys.executable} -m mngac {stage} {WHERE[stage]}"
        limited = ["bash", "-c", f"ulimit -f {BLOCKS[stage]}; exec {command}"]
        full = subprocess.run(limited, cwd=folder, env=environment(folder), capture_output=True, text=True)
        assert full.returncode == 2, full.stderr
        assert "Traceback" not in full.stderr and full.stderr.splitlines()[-1].startswith("mngac: ")
        assert "too large" in full.stderr.splitlines()[-1]
        assert run(folder, *command.split()).returncode == 0
    left = [path for path in folder.rglob("*") if path.name.endswith(".part") or path.parent.name == "work"]
    assert not left


@pytest.mark.slow
def test_a_stage_outlives_whoever_read_what_it_says(tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("nat",)))
    for stage in ("data --dataset digits", "train --dataset digits --method nat --seed 0"):
        said = ["bash", "-c", f"{sys.executable} -m mngac {stage} 2>/dev/full"]
        assert subprocess.run(said, cwd=folder, env=environment(folder)).returncode == 0
    assert (folder / "trained/digits/nat/seed0/classifier.safetensors").exists()


def test_work_outlives_a_disk_without_room_for_its_log(capsys):
    with log_to("/dev/full") as log:
        log.line("one")
        log.line("two")
    assert capsys.readouterr().err == "one\ntwo\n"
