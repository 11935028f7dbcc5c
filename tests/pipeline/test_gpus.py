"""GPUs: which of them a job may use, by names of every kind, and each leased to one job of a node at a time."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from mngac.params.errors import UserError
from mngac.pipeline import gpus

PLAIN = {"GPU-aa1": [], "GPU-ab2": []}
DIVIDED = {"GPU-aa1": ["MIG-c1", "MIG-c2"], "GPU-ab2": []}


class NVMLError(Exception):
    """What the library raises."""


def library(cards):
    """NVIDIA's management library on a machine with such cards; None: without a driver."""

    def init():
        if cards is None:
            raise NVMLError("Driver Not Loaded")

    def instance(card, i):
        if i % 2:  # instances have gaps between them
            raise NVMLError("Not Found")
        if i // 2 >= len(cards[card]):
            raise NVMLError("Not Found")
        return cards[card][i // 2]

    def mode(card):
        if not cards[card]:
            raise NVMLError("Not Supported")
        return [1, 1]

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=lambda i: list(cards)[i],
        nvmlDeviceGetUUID=lambda handle: handle,
        nvmlDeviceGetMigMode=mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda card: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=instance,
    )


@pytest.fixture
def node(monkeypatch, tmp_path):
    """Makes this machine one with such cards."""

    def make(cards, visible=None):
        monkeypatch.setitem(sys.modules, "pynvml", library(cards))
        monkeypatch.setenv("MNGAC_LOCKS", str(tmp_path / "locks"))
        if visible is None:
            monkeypatch.delenv(gpus.VISIBLE, raising=False)
        else:
            monkeypatch.setenv(gpus.VISIBLE, visible)

    return make


@pytest.mark.parametrize(
    ("cards", "visible", "wanted"),
    [
        (None, None, []),
        (PLAIN, None, ["GPU-aa1", "GPU-ab2"]),
        (PLAIN, "1", ["GPU-ab2"]),
        (PLAIN, "1,0", ["GPU-ab2", "GPU-aa1"]),
        (PLAIN, "1,1", ["GPU-ab2"]),
        (PLAIN, "GPU-ab", ["GPU-ab2"]),
        (PLAIN, "GPU-a", []),  # of two
        (PLAIN, "", []),
        (PLAIN, "-1", []),
        (PLAIN, "NoDevFiles", []),  # Slurm's, for a job without a GPU
        (PLAIN, "0,7,1", ["GPU-aa1"]),  # CUDA reads up to the first that is none
        (DIVIDED, None, ["MIG-c1", "MIG-c2", "GPU-ab2"]),
        (DIVIDED, "MIG-c2", ["MIG-c2"]),
        (DIVIDED, "MIG-c2,MIG-c1", ["MIG-c2", "MIG-c1"]),
        (DIVIDED, "0", ["MIG-c1", "MIG-c2"]),
        (DIVIDED, "MIG-GPU-aa1/1/0", ["MIG-GPU-aa1/1/0"]),
        (DIVIDED, "MIG-GPU-other/1/0", []),
    ],
)
def test_what_may_be_used_is_what_cuda_would_see(node, cards, visible, wanted):
    node(cards, visible)
    assert gpus.usable() == wanted


def test_jobs_that_name_the_same_gpu_otherwise_do_not_share_it(node, monkeypatch):
    node(PLAIN, "0")
    with gpus.leased_gpu(print) as first:
        assert first == os.environ[gpus.VISIBLE] == "GPU-aa1"
        monkeypatch.setenv(gpus.VISIBLE, "GPU-aa,1")
        with gpus.leased_gpu(print) as second:
            assert second == os.environ[gpus.VISIBLE] == "GPU-ab2"
        assert os.environ[gpus.VISIBLE] == "GPU-aa,1"


def test_one_gpu_is_one_jobs_too(node, monkeypatch):
    node({"GPU-aa1": []})
    waited, heard = [], []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            raise TimeoutError

    with gpus.leased_gpu(heard.append):
        monkeypatch.delenv(gpus.VISIBLE)
        monkeypatch.setattr(gpus.time, "sleep", sleep)
        with pytest.raises(TimeoutError), gpus.leased_gpu(heard.append):
            pass
    assert waited == [gpus.WAIT] * 3
    (line,) = heard
    assert line.startswith(f"waits for a GPU: GPU-aa1 is held by process {os.getpid()} of ")


def test_a_gpu_is_free_again_after_an_error(node):
    node(PLAIN)
    for _ in range(3):
        with pytest.raises(RuntimeError), gpus.leased_gpu(print) as name:
            assert name == "GPU-aa1"
            raise RuntimeError
    assert gpus.VISIBLE not in os.environ


HOLD = """
import time
from mngac.pipeline import gpus
gpus.usable = lambda: ["MIG-GPU-aa1/1/0"]
with gpus.leased_gpu(print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_gpu_of_a_killed_job_is_free_at_once(node, tmp_path, monkeypatch):
    node(PLAIN)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(gpus, "usable", lambda: ["MIG-GPU-aa1/1/0"])
    heard = []
    monkeypatch.setattr(gpus.time, "sleep", lambda seconds: (holder.kill(), holder.wait()))
    started = time.monotonic()
    with gpus.leased_gpu(heard.append):
        pass
    assert len(heard) == 1 and f"process {holder.pid} of" in heard[0] and time.monotonic() - started < 60


@pytest.mark.parametrize(("visible", "said"), [(None, "here; allowed"), ("", "(CUDA_VISIBLE_DEVICES is empty)")])
def test_where_no_gpu_is_to_be_seen_nothing_is_leased(node, visible, said):
    node(PLAIN if visible == "" else None, visible)
    with pytest.raises(UserError) as refused, gpus.leased_gpu(print):
        pass
    assert said in str(refused.value) and str(refused.value).startswith('run.device: found "cuda", but no GPU')


def test_the_locks_are_everybodys(node, tmp_path):
    node(PLAIN)
    before = os.umask(0o077)
    try:
        with gpus.leased_gpu(print):
            pass
    finally:
        os.umask(before)
    folder = tmp_path / "locks"
    assert folder.stat().st_mode & 0o777 == 0o777
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o666]


def test_a_folder_of_locks_that_is_none_is_refused_in_one_line(node, tmp_path, monkeypatch):
    node(PLAIN)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNGAC_LOCKS", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"^MNGAC_LOCKS: found .*file: File exists; allowed: a folder of this node$"):
        gpus.locks()
