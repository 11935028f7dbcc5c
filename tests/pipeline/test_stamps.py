"""Stamps: whole, and no newer than the change that they tell of, however many read the Snakefile at once."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from helpers import beside, run, small, small_params, workspace

from mngac.params.checks import load
from mngac.pipeline import jobs as jobs_module
from mngac.pipeline.jobs import job, jobs


def test_of_many_who_would_write_a_stamp_one_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, all_looked, written = job(small_params(), "data", dataset="digits"), threading.Barrier(5), []
    says, write = jobs_module._says, jobs_module.write_text
    looked = set()

    def look(path, text):
        found = says(path, text)
        if threading.get_ident() not in looked:
            looked.add(threading.get_ident())
            all_looked.wait()
        return found

    monkeypatch.setattr(jobs_module, "_says", look)
    monkeypatch.setattr(jobs_module, "write_text", lambda *args: written.append(args) or write(*args))
    writers = [threading.Thread(target=data.write_stamp) for _ in range(5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(looked) == 5 and len(written) == 1
    assert json.loads(data.stamp.read_text()) == json.loads(json.dumps(data.stated()))


def test_a_workspace_without_locks_has_stamps_too(tmp_path, monkeypatch):
    def none(*args):
        raise OSError(37, os.strerror(37))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcntl.flock", none)
    data = job(small_params(), "data", dataset="digits")
    data.write_stamp(changed=7_000_000_000)
    assert data.stamp.stat().st_mtime == 7
    data.write_stamp()
    assert data.stamp.stat().st_mtime == 7


@pytest.mark.slow
def test_while_ten_engines_read_the_snakefile_during_a_run_no_stamp_is_torn_or_newer_than_needed(tmp_path, monkeypatch):
    folder = workspace(tmp_path / "w", small(epochs=5))
    running = beside(folder, "snakemake", "--cores", "1")
    dry = [beside(folder, "snakemake", "-n", "--quiet") for _ in range(10)]
    torn = []
    while running.poll() is None or any(process.poll() is None for process in dry):
        for stamp in folder.glob(".mngac/stamps/*/*.json"):
            try:
                json.loads(stamp.read_text())
            except ValueError:
                torn.append(stamp)
        time.sleep(0.1)
    assert running.wait() == 0 and [process.wait() for process in dry] == [0] * 10 and not torn
    monkeypatch.chdir(folder)
    for each in jobs(load()):
        assert json.loads(each.stamp.read_text()) == json.loads(json.dumps(each.stated()))
        assert each.stamp.stat().st_mtime_ns <= min(Path(path).stat().st_mtime_ns for path in each.outputs.values())
    assert not list(folder.glob(".mngac/stamps/*/*.part"))
    assert "Nothing to be done" in run(folder, "snakemake", "--cores", "1").stderr
