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
from nfs import Client, mounted

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


def holding(folder, seconds, before=""):
    """Another process that holds the lease."""
    command = [sys.executable, "-c", before + HOLDS, str(folder), str(seconds)]
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


def hurried(monkeypatch, silent):
    monkeypatch.setattr(lease, "SILENT", silent)
    monkeypatch.setattr(lease, "SETTLE", 0.05)
    monkeypatch.setattr(lease, "LOOK", 0.1)


class Elsewhere:
    """Another host's holder on a clock of its own, with its hand on the server: what it does no client is told."""

    def __init__(self, folder, monkeypatch, lives, away=()):
        """It touches its lease for `lives` seconds, and takes it away at the end; of `away` no look comes back."""
        self.now, self.lives, self.away, self.touch, self.unlink = 0.0, lives, away, os.utime, os.unlink
        self.path = elsewhere(folder)
        monkeypatch.setattr(lease.time, "sleep", self.sleep)
        monkeypatch.setattr(lease.time, "monotonic", lambda: self.now)

    def sleep(self, seconds):
        """Lets time pass for both."""
        then = self.now + seconds
        if self.away and self.away[0] <= then < self.away[1]:
            then = self.away[1]
        for beat in range(int(self.now // lease.HEARTBEAT) + 1, int(then // lease.HEARTBEAT) + 1):
            when = beat * lease.HEARTBEAT
            if when < self.lives and not (self.away and self.away[0] <= when < self.away[1]):
                self.touch(self.path, ns=(0, int(when * 1e9)))
        if self.now < self.lives <= then:
            self.unlink(self.path)
        self.now = then


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
    hurried(monkeypatch, silent=0.6)
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
    hurried(monkeypatch, silent=0.3)
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


@pytest.mark.parametrize("links", [True, False])
def test_of_two_hosts_that_take_a_free_lease_one_gets_it(tmp_path, monkeypatch, links):
    def refused(*paths):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(lease.os, "link", refused)
        monkeypatch.setattr(lease.Path, "exists", lambda path: True)  # which is asked too late to decide
    path = tmp_path / f"{KEY}.json"
    both = [Holder(Process(n, "far", str(n) * 12, 1.0), 0.0, f"mark {n}") for n in (1, 2)]
    assert [holder.create(path) for holder in both] == [True, False]
    assert Holder.read(path) == both[0] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mount", [dict(kept=600), dict(kept=100, asks_at_opening=False)], ids=str)
def test_a_holder_whose_touches_a_network_file_system_shows_late_is_not_thought_dead(tmp_path, monkeypatch, mount):
    far, said = Elsewhere(tmp_path, monkeypatch, lives=1000), []
    with (
        mounted(Client(tmp_path, lambda: far.now, **mount), monkeypatch),
        leased(tmp_path, KEY, said.append),
    ):
        assert 1000 <= far.now < 1100 + lease.HEARTBEAT
    assert len(said) == 1 and said[0].startswith("waits for process 4711 on far")


def test_a_dead_holder_on_a_network_file_system_is_found_out(tmp_path, monkeypatch):
    far, said = Elsewhere(tmp_path, monkeypatch, lives=1000), []
    far.touch = lambda *args, **kwargs: None
    with mounted(Client(tmp_path, lambda: far.now), monkeypatch), leased(tmp_path, KEY, said.append):
        assert lease.SILENT < far.now < lease.SILENT + 10
    assert said[1].endswith("silent for 120 s")


def test_a_server_that_was_away_makes_no_holder_dead(tmp_path, monkeypatch):
    far, said = Elsewhere(tmp_path, monkeypatch, lives=1000, away=(101, 702)), []
    with leased(tmp_path, KEY, said.append):
        assert far.now >= 1000
    assert len(said) == 1


def test_a_lease_that_cannot_be_read_for_a_moment_is_still_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.02)
    path, said, looks, at = tmp_path / f"{KEY}.json", [], [], lease.Look.at

    def stale(path):
        looks.append(path)
        return lease.Look(None, 1) if 2 < len(looks) < 6 else at(path)

    with leased(tmp_path, KEY, said.append):
        monkeypatch.setattr(lease.Look, "at", stale)
        deadline = time.monotonic() + 10
        while len(looks) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.utime(path, (0, 0))
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime > 0 and not said
    assert not path.exists()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO, errno.ESTALE])
def test_a_lease_that_cannot_be_cleared_away_fails_nothing(tmp_path, monkeypatch, number):
    def refused(self, missing_ok=False):
        raise OSError(number, os.strerror(number))

    with leased(tmp_path, KEY, print):
        monkeypatch.setattr(lease.Path, "unlink", refused)


def test_a_link_whose_answer_was_lost_is_ones_own(tmp_path, monkeypatch):
    link = os.link

    def asked_twice(*paths):
        link(*paths)
        link(*paths)

    monkeypatch.setattr(lease.os, "link", asked_twice)
    with leased(tmp_path, KEY, print, wait=False):
        assert Holder.read(tmp_path / f"{KEY}.json").process == Process.here()


WITHOUT_LOCKS = """
import errno, fcntl, os
def none(*args):
    raise OSError({number}, os.strerror({number}))
fcntl.flock = none
"""


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_has_leases_too(tmp_path, monkeypatch, number):
    first, said = holding(tmp_path, 60, WITHOUT_LOCKS.format(number=int(number))), []

    def none(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(Held, match="held by"), leased(tmp_path, KEY, said.append, wait=False):
        pass
    first.kill()
    first.wait()
    with leased(tmp_path, KEY, said.append, wait=False):
        assert Holder.read(tmp_path / f"{KEY}.json").process == Process.here()
    assert not said and not list(tmp_path.glob("*.json"))


NO_LOCK = """
from mngac.pipeline import lease
lease.acquired = lambda lock, **how: False
"""


def test_one_that_lives_without_the_systems_lock_is_not_overtaken_by_one_that_has_it(tmp_path):
    """Locks of a network file system may fail for one and serve the next, on the same host."""
    holder = holding(tmp_path, 600, NO_LOCK)
    try:
        with pytest.raises(Held), leased(tmp_path, KEY, print, wait=False):
            pass
        assert Holder.read(tmp_path / f"{KEY}.json").process.pid == holder.pid
    finally:
        holder.kill()
        holder.wait()
    with leased(tmp_path, KEY, print, wait=False):
        pass
