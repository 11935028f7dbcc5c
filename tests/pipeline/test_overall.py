"""The line of a whole run: what it counts, and when."""

import os
import time
from pathlib import Path

import pytest
from helpers import run, small, small_params, workspace

from mngac.pipeline import overall
from mngac.pipeline.jobs import jobs
from mngac.pipeline.overall import Overall, asked_for


def make(job, seconds):
    """The job's outputs, as old as that."""
    for path in map(Path, job.outputs.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_it_counts_what_was_made_since_it_began_and_says_what_is_left(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(overall, "LOOK", 0.01)
    todo = [job for job in jobs(small_params(methods=("nat", "sat"))) if job.stage.name in ("data", "train", "tables")]
    assert [job.stage.name for job in todo] == ["data", "train", "train", "tables"]
    make(todo[1], seconds=100)  # of an earlier run: this one makes it again
    line = Overall()
    line.start(todo)
    make(todo[0], seconds=0)
    for _ in range(500):
        time.sleep(0.01)
        if line.done.total() == 1:
            break
    assert line.done == {"data": 1} and line.text() == "train 0/2  tables 0/1"
    make(todo[1], seconds=0)
    line.stop()
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith("mngac: 1 of 4 jobs done, ") and said[0].endswith(" left; train 0/2  tables 0/1")
    assert said[-1].startswith("mngac: 2 of 4 jobs done, ") and said[-1].endswith(" left; train 1/2  tables 0/1")
    assert len(said) == 2 and not line.thread.is_alive()


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ({}, "?"),
        ({"data": 1}, "?"),  # which says nothing of a training
        ({"data": 1, "train": 1}, "01:03"),  # 21 of 43 in 61 s
        ({"data": 1, "train": 2}, "00:02"),
        ({"data": 1, "train": 2, "tables": 2}, "00:00"),
    ],
)
def test_time_is_left_by_how_long_a_job_of_the_stage_is(monkeypatch, done, left):
    line = Overall()
    line.total.update({"data": 1, "train": 2, "tables": 2})
    line.done.update(done)
    monkeypatch.setattr(overall.time, "time", lambda: line.began + 61)
    assert line.time_left() == left


def test_short_jobs_alone_are_told_by_their_number(monkeypatch):
    line = Overall()
    line.total.update({"tables": 1, "figures": 3})
    line.done.update({"tables": 1})
    monkeypatch.setattr(overall.time, "time", lambda: line.began + 5)
    assert line.time_left() == "00:15"


def test_without_anything_to_do_it_says_nothing(capfd):
    line = Overall()
    line.start([])
    line.stop()
    assert capfd.readouterr().err == ""


def test_the_jobs_asked_for_are_those_whose_files_the_engine_wants():
    every = jobs(small_params(methods=("nat",)))
    data, train = (next(job for job in every if job.stage.name == name) for name in ("data", "train"))
    assert asked_for(every, ["./data/digits.safetensors", "elsewhere.txt"]) == [data]
    assert asked_for(every, [train.outputs["train.json"], *train.outputs.values()]) == [train]


@pytest.mark.slow
def test_snakemake_says_a_line_a_job_and_no_lists_of_files(tmp_path):
    """Beside what the stages themselves say: with two methods, ten jobs."""
    folder = workspace(tmp_path / "project", small(methods=("nat", "sat")))
    said = run(folder, "snakemake", "--cores", "2").stderr.splitlines()
    ours = [line for line in said if line.startswith("mngac: ")]
    assert 1 <= len(ours) <= 10 and ours[-1] == "mngac: 10 of 10 jobs done, 00:00 left"
    stages = [line for line in said if line.startswith(("digits", "data", "tables", "figures", "report"))]
    assert len(said) - len(ours) - len(stages) <= 26  # of which the table of jobs takes 13
    for word in ("input:", "reason:", "Finished jobid", "steps (", "Select jobs"):
        assert [line for line in said if word in line] == []
    [log] = (folder / ".snakemake/log").glob("*.log")
    assert "steps (100%) done" in log.read_text()
