"""CPU or CUDA, decided without importing torch."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mngac.params.errors import ParamsError
from mngac.pipeline.atomic import mode_in

if TYPE_CHECKING:
    from filelock import FileLock

WAIT = 1.0


@functools.cache
def device_type(device: str) -> str:
    """`cpu` or `cuda`; `auto` asks the CUDA driver, without importing torch.

    Raises:
        ParamsError: for `cuda` where no CUDA device is found.
    """
    if device == "cpu":
        return device
    has_cuda = _cuda_devices() > 0
    if device == "cuda" and not has_cuda:
        raise ParamsError('run.device: found "cuda", but no CUDA device is here; allowed: auto, cpu')
    return "cuda" if has_cuda else "cpu"


@contextlib.contextmanager
def one_device(kind: str, locks: Path) -> Iterator[str | None]:
    """A GPU that no other job holds, by file lock, as the only one that this process sees; None on the CPU.

    Engines count GPUs but assign none. Where all are held, it waits for one. Must come before torch is imported.
    """
    count = _cuda_devices() if kind == "cuda" else 0
    if count < 2:
        yield None
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    locks.mkdir(parents=True, exist_ok=True)
    name, lock = _free(listed, locks)
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    try:
        yield name
    finally:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(listed)
        lock.release()


@contextlib.contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Algorithms that give the same bits twice on CUDA, where torch has them, else a warning (docs/gpu.md).

    Must come before torch is imported: cuBLAS is given its workspace once.
    """
    if not wanted:
        yield
        return
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _free(names: list[str], locks: Path) -> tuple[str, FileLock]:
    from filelock import FileLock, Timeout  # so that the command line starts, and says so, where it is missing

    while True:
        for name in names:
            lock = FileLock(locks / f"gpu-{socket.gethostname()}-{name}.lock", mode=mode_in(locks))
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                return name, lock
        time.sleep(WAIT)


def _cuda_devices() -> int:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    ready = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if ready else 0
