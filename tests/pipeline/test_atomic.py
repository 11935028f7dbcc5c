"""Files that are whole or not there, and what dead processes left beside them."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mngac.pipeline.atomic import atomic, unfinished, write_text
from mngac.pipeline.processes import Process

DIES = """
import os, signal, sys
from mngac.pipeline.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_writing(path):
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_goes_when_the_file_is_next_written(tmp_path):
    target, other = tmp_path / "file", tmp_path / "file2"
    target.write_text("old")
    killed_while_writing(target)
    killed_while_writing(other)
    assert target.read_text() == "old" and len(unfinished(tmp_path)) == 2
    write_text(target, "new")
    assert target.read_text() == "new"
    assert [left.name.split(".")[1] for left in unfinished(tmp_path)] == ["file2"]


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    target = tmp_path / "file"
    with atomic(target) as temporary:
        write_text(target, "meanwhile")
        temporary.write_text("last")
    assert target.read_text() == "last" and list(tmp_path.iterdir()) == [target]


def test_the_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    synchronised = []
    monkeypatch.setattr(os, "fsync", lambda handle: synchronised.append(Path(f"/proc/self/fd/{handle}").readlink()))
    write_text(tmp_path / "file", "text")
    assert synchronised[0].suffix == ".part" and synchronised[1:] == [tmp_path]


@pytest.mark.parametrize(
    ("folder", "mask", "file"), [(0o2775, 0o077, 0o664), (0o775, 0o077, 0o600), (0o755, 0o022, 0o644)]
)
def test_a_file_in_a_shared_folder_is_shared_whatever_the_umask(tmp_path, folder, mask, file):
    tmp_path.chmod(folder)
    before = os.umask(mask)
    try:
        write_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == file


def test_a_pipe_or_a_device_stays_one(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "text")
    reader.join()
    assert read == ["text"] and stat.S_ISFIFO(pipe.stat().st_mode) and list(tmp_path.iterdir()) == [pipe]


def test_a_process_is_dead_when_it_has_ended_or_its_number_is_anothers():
    here = Process.here()
    assert here.ours and not here.dead
    assert Process(here.pid, here.host, here.kernel, here.started - 60).dead
    assert not Process(here.pid, "far", "0" * 12, 1.0).dead
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other = Process.of(child.pid)
    assert not other.dead
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert other.dead, "a zombie"
    child.wait()
    assert other.dead
    assert Process.of_dict(other.as_dict()) == other
    assert Process.of_dict({"pid": "1"}) is None and Process.of_dict([]) is None
