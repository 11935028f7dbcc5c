"""GPUs: which of them a job may use, by names of every kind, and each leased to one job of a node at a time."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mngac.params.errors import UserError
from mngac.pipeline import device, gpus

PLAIN = {"GPU-aa1": None, "GPU-ab2": None}
DIVIDED = {"GPU-aa1": ["MIG-c1", "MIG-c2"], "GPU-ab2": None}
UNUSED = {"GPU-aa1": [], "GPU-ab2": None}
LOST = {"": None, "GPU-ab2": None}


class NVMLError(Exception):
    """What the library raises."""


def library(cards):
    """NVIDIA's management library on a machine with such cards; a text: what it says when it can't be asked.

    Of a card, None: it can't be divided; a list: its MIG instances, which have gaps between them.
    """

    def init():
        if isinstance(cards, str):
            raise NVMLError(cards)

    def handle(i):
        if not list(cards)[i]:
            raise NVMLError("GPU is lost")
        return list(cards)[i]

    def instance(card, i):
        if i % 2 or i // 2 >= len(cards[card]):
            raise NVMLError("Not Found")
        return cards[card][i // 2]

    def mode(card):
        if cards[card] is None:
            raise NVMLError("Not Supported")
        return [1, 1]

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetUUID=lambda handle: handle,
        nvmlDeviceGetMigMode=mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda card: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=instance,
        nvmlDeviceGetGpuInstanceId=lambda instance: int(instance[-1]),
        nvmlDeviceGetComputeInstanceId=lambda instance: 0,
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
        (PLAIN, None, ["GPU-aa1", "GPU-ab2"]),
        (PLAIN, "1", ["GPU-ab2"]),
        (PLAIN, "1, 0", ["GPU-ab2", "GPU-aa1"]),
        (PLAIN, "1,1", ["GPU-ab2"]),
        (PLAIN, "GPU-ab", ["GPU-ab2"]),
        (PLAIN, "GPU-a", []),  # of two
        (PLAIN, "", []),
        (PLAIN, "-1", []),
        (PLAIN, "NoDevFiles", []),  # Slurm's, for a job without a GPU
        (PLAIN, "0,7,1", ["GPU-aa1"]),  # up to the first that is none
        (PLAIN, "9" * 5000, []),
        (DIVIDED, None, ["MIG-c1", "MIG-c2", "GPU-ab2"]),
        (DIVIDED, "MIG-c2", ["MIG-c2"]),
        (DIVIDED, "MIG-c2,MIG-c1", ["MIG-c2", "MIG-c1"]),
        (DIVIDED, "0", ["MIG-c1", "MIG-c2"]),
        (DIVIDED, "GPU-aa1", ["MIG-c1", "MIG-c2"]),
        (DIVIDED, "MIG-GPU-aa1/2/0", ["MIG-c2"]),
        (DIVIDED, "MIG-GPU-other/1/0", []),
        (UNUSED, None, ["GPU-ab2"]),
        (UNUSED, "GPU-aa1", []),
        (LOST, None, ["GPU-ab2"]),
        (LOST, "1", ["GPU-ab2"]),
        (LOST, "0", []),
    ],
)
def test_what_may_be_used(node, cards, visible, wanted):
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
    node({"GPU-aa1": None})
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
from mngac.pipeline import device, gpus
gpus.usable = lambda: ["MIG-c1"]
with gpus.leased_gpu(print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_gpu_of_a_killed_job_is_free_at_once(node, monkeypatch):
    node(PLAIN)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(gpus, "usable", lambda: ["MIG-c1"])
    heard = []
    monkeypatch.setattr(gpus.time, "sleep", lambda seconds: (holder.kill(), holder.wait()))
    with gpus.leased_gpu(heard.append):
        pass
    assert len(heard) == 1 and f"process {holder.pid} of" in heard[0]


@pytest.mark.parametrize(
    ("cards", "visible", "said"),
    [
        ("Driver/library version mismatch", None, "here (Driver/library version mismatch); allowed"),
        (PLAIN, "", "here (CUDA_VISIBLE_DEVICES is empty); allowed"),
        ({}, None, "here; allowed"),
    ],
)
def test_where_no_gpu_is_to_be_seen_the_refusal_says_why(node, cards, visible, said):
    node(cards, visible)
    with pytest.raises(UserError) as refused, gpus.leased_gpu(print):
        pass
    assert said in str(refused.value) and str(refused.value).startswith('run.device: found "cuda", but no GPU')


def test_auto_is_the_cpu_where_no_gpu_is_to_be_seen(node):
    found = []
    for cards in ("Driver Not Loaded", {}, PLAIN):
        node(cards)
        device.decided.cache_clear()
        found.append(device.decided("auto"))
    device.decided.cache_clear()
    assert found == ["cpu", "cpu", "cuda"]


def test_everybody_locks_and_nobody_removes_what_is_anothers(node, tmp_path):
    node(PLAIN)
    before = os.umask(0o077)
    try:
        with gpus.leased_gpu(print):
            pass
    finally:
        os.umask(before)
    folder = tmp_path / "locks"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o666]


@pytest.mark.parametrize("mode", [0o700, 0o1777, 0o755])
def test_a_folder_that_is_there_keeps_its_mode(node, tmp_path, mode):
    node(PLAIN)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(mode)
    with gpus.leased_gpu(print):
        pass
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == mode


def test_a_lock_that_cannot_be_used_leaves_the_other_gpus(node, tmp_path):
    node(PLAIN)
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/GPU-aa1.lock").symlink_to(tmp_path / "elsewhere")
    with gpus.leased_gpu(print) as name:
        assert name == "GPU-ab2"
        assert (tmp_path / "locks/GPU-ab2.lock").read_text().startswith(f"process {os.getpid()} of ")
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_where_no_lock_can_be_used_one_line_names_the_folder(node, tmp_path):
    node(PLAIN)
    for name in PLAIN:
        (tmp_path / f"locks/{name}.lock").mkdir(parents=True)
    with pytest.raises(UserError) as refused, gpus.leased_gpu(print):
        pass
    assert str(refused.value).startswith(f"MNGAC_LOCKS: {tmp_path}/locks: ") and "allowed: a folder" in str(
        refused.value
    )


def test_a_file_in_the_folders_place_is_refused_in_one_line(node, tmp_path):
    node(PLAIN)
    (tmp_path / "locks").write_text("")
    with pytest.raises(UserError, match=r"^MNGAC_LOCKS: .*locks: is no folder; allowed: a folder of this node"):
        gpus.locks()
