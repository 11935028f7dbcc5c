"""Long use: memory, open files, threads, temporary files and logs stay as they are after a while."""

import threading
from pathlib import Path

import psutil
import pytest
from helpers import Heard, entry, small_params

from mngac.data import store
from mngac.pipeline.jobs import job
from mngac.training import checkpoints
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer

pytestmark = pytest.mark.slow
MEGABYTES = 12
"""By which the memory of a process may differ between two looks, as malloc lays it out; 6 kB a step."""


def look(folder):
    """Memory in MB, open files, threads, and names under a folder."""
    process = psutil.Process()
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return process.memory_info().rss / 1e6, process.num_fds(), threading.active_count(), names


@pytest.mark.parametrize("method", ["mng_ac", "adv_max"])
def test_two_thousand_steps_leave_a_process_as_two_hundred_do(tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "LEAST_SECONDS", 0.2)
    params = small_params()
    job(params, "data", dataset="digits").run()
    short = {"epochs": 11, "steps_per_epoch": 200, "batch_size": 4}
    training = params.training_for("digits").model_copy(update=short)
    said = Heard()
    plan = Plan(training, params.radii_for("standard", "digits"), entry(method), 0)
    trainer = Trainer(store.load("data/digits.safetensors"), plan, tmp_path / "work", log=said)
    looks, line = [], trainer._line

    def looked():
        looks.append(look(tmp_path))
        return line()

    monkeypatch.setattr(trainer, "_line", looked)
    trainer.run()
    early, late = looks[1], looks[-1]
    assert late[0] - early[0] < MEGABYTES
    assert late[1:] == early[1:]
    assert sum(map(len, said.lines)) < 11 * 200


def test_twenty_runs_leave_a_process_and_its_folders_as_two_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    params = small_params(methods=("nat",))
    job(params, "data", dataset="digits").run()
    looks = []
    for seed in range(20):
        train = job(params, "train", dataset="digits", method="nat", seed=str(seed))
        evaluation = job(
            params, "evaluate", dataset="digits", method="nat", seed=str(seed), suite="apgd", profile="standard"
        )
        assert [train.run(), evaluation.run(), train.run(), evaluation.run()] == ["made", "made", "cached", "cached"]
        looks.append(look(tmp_path))
    early, late = looks[1], looks[-1]
    assert late[0] - early[0] < MEGABYTES
    assert late[1:3] == early[1:3]
    assert not list((tmp_path / "tmp").iterdir())
    assert not [name for name in late[3] if name.endswith(".part") or "/work/" in name]
    assert all(log.stat().st_size < 2000 for log in Path("logs").rglob("*.log"))
