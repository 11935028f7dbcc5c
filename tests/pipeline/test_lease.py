"""Leases: one holder at a time on one system and over several, and none that died."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mngac.pipeline import lease
from mngac.pipeline.lease import Held, Holder, leased
from mngac.pipeline.processes import Process

KEY = "a" * 64
HOLDS = """
import sys, time
from pathlib import Path
from mngac.pipeline.lease import leased
with leased(Path(sys.argv[1]), "a" * 64, print):
    print("holds", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holding(folder, seconds):
    """Another process that holds the lease."""
    command = [sys.executable, "-c", HOLDS, str(folder), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holds\n"
    return process


def elsewhere(folder, **values):
    """A lease that a process of another host has written."""
    folder.mkdir(exist_ok=True)
    process = Process(4711, "far", "0" * 12, 1.0).as_dict()
    content = {"process": process, "since": 0.0, "mark": "theirs", **values}
    (folder / f"{KEY}.json").write_text(json.dumps(content))
    return folder / f"{KEY}.json"


def test_the_second_waits_says_for_whom_and_then_has_it(tmp_path):
    first, said = holding(tmp_path, 1), []
    with leased(tmp_path, KEY, said.append):
        assert first.wait() == 0
        assert Holder.read(tmp_path / f"{KEY}.json").process == Process.here()
    assert len(said) == 1 and said[0].startswith(f"waits for process {first.pid} on ")
    assert not list(tmp_path.glob("*.json"))


def test_who_would_not_wait_is_told_who_has_it(tmp_path):
    first = holding(tmp_path, 60)
    with (
        pytest.raises(Held, match=f"held by process {first.pid} on .*, since 20"),
        leased(tmp_path, KEY, print, wait=False),
    ):
        pass
    first.kill()
    first.wait()


def test_a_killed_holder_holds_nothing(tmp_path):
    first, said = holding(tmp_path, 60), []
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert Holder.read(tmp_path / f"{KEY}.json").process.pid == first.pid
    began = time.monotonic()
    with leased(tmp_path, KEY, said.append, wait=False):
        assert time.monotonic() - began < 5 and not said
    assert not list(tmp_path.glob("*.json"))


def test_a_holder_on_another_host_is_waited_for_as_long_as_it_touches_its_lease(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "SILENT", 0.6)
    monkeypatch.setattr(lease, "SETTLE", 0.05)
    path, said, done = elsewhere(tmp_path), [], threading.Event()

    def touch():
        for _ in range(10):
            os.utime(path)
            time.sleep(0.2)
        done.set()

    threading.Thread(target=touch).start()
    with leased(tmp_path, KEY, said.append):
        assert done.is_set()
    assert said[0].startswith("waits for process 4711 on far, since ")
    assert said[1].startswith("takes over from process 4711 on far, since ") and said[1].endswith(", silent for 1 s")
    assert len(said) == 2 and not path.exists()


def test_who_would_not_wait_for_another_host_does_not(tmp_path):
    elsewhere(tmp_path)
    with pytest.raises(Held, match="held by process 4711 on far"), leased(tmp_path, KEY, print, wait=False):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": 1}', "\xff"])
def test_a_lease_that_cannot_be_read_is_another_hosts_who_may_live(tmp_path, monkeypatch, content):
    monkeypatch.setattr(lease, "SILENT", 0.3)
    monkeypatch.setattr(lease, "SETTLE", 0.05)
    (tmp_path / f"{KEY}.json").write_text(content, encoding="latin-1")
    said = []
    with leased(tmp_path, KEY, said.append):
        pass
    assert said[0] == "waits for another host" and said[1].startswith("takes over from another host")


def test_the_lease_is_touched_written_anew_where_it_is_gone_and_left_where_it_is_anothers(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.05)
    path, said = tmp_path / f"{KEY}.json", []

    def until(true):
        deadline = time.monotonic() + 10
        while not true() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert true()

    with leased(tmp_path, KEY, said.append):
        os.utime(path, (0, 0))
        until(lambda: path.stat().st_mtime > 0)
        mine = Holder.read(path)
        path.unlink()
        until(path.exists)
        until(lambda: Holder.read(path) == mine)
        elsewhere(tmp_path)
        until(lambda: said)
    assert said[0].startswith("was thought dead: process 4711 on far")
    assert path.exists()


def test_a_file_system_without_links_has_leases_too(tmp_path, monkeypatch):
    def none(*paths):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(lease.os, "link", none)
    with leased(tmp_path, KEY, print):
        assert Holder.read(tmp_path / f"{KEY}.json").process == Process.here()
    elsewhere(tmp_path)
    with pytest.raises(Held, match="far"), leased(tmp_path, KEY, print, wait=False):
        pass


def test_of_two_hosts_that_take_a_free_lease_one_gets_it(tmp_path):
    path = tmp_path / f"{KEY}.json"
    both = [Holder(Process(n, "far", str(n) * 12, 1.0), 0.0, f"mark {n}") for n in (1, 2)]
    assert [holder.create(path) for holder in both] == [True, False]
    assert Holder.read(path) == both[0] and list(tmp_path.iterdir()) == [path]
