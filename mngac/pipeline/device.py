"""CPU or CUDA, decided without importing torch, and how CUDA computes."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator


@functools.cache
def decided(device: str) -> str:
    """`cpu` or `cuda` as stated, whatever is here; for `auto`, `cuda` where a driver and a GPU are found."""
    if device != "auto":
        return device
    from mngac.pipeline.gpus import NoAnswer, usable  # which ask the driver

    with contextlib.suppress(NoAnswer):
        return "cuda" if usable() else "cpu"
    return "cpu"


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
