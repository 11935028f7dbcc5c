"""CPU or CUDA, decided without importing torch."""

from __future__ import annotations

import ctypes
import functools
import os

from mngac.params import ParamsError


@functools.cache
def device_type(device: str) -> str:
    """`cpu` or `cuda`; `auto` asks the CUDA driver, without importing torch.

    Raises:
        ParamsError: for `cuda` where no CUDA device is found.
    """
    if device == "cpu":
        return device
    found = _cuda_devices() > 0
    if device == "cuda" and not found:
        raise ParamsError('run.device: found "cuda", but no CUDA device is here; allowed: auto, cpu')
    return "cuda" if found else "cpu"


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
