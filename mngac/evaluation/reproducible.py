"""The precision and the algorithms in which an evaluation computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def reproducible(tensor_float32: bool) -> Iterator[None]:
    """Convolutions on CUDA that give the same bits twice.

    Where `tensor_float32` is false, all is computed in plain float32, whatever precision the caller has set.
    """
    with contextlib.ExitStack() as stack:
        cudnn = torch.backends.cudnn
        stack.enter_context(
            cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=tensor_float32)
        )
        if not tensor_float32:
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
            for device in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
