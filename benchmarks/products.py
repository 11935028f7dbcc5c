"""The peak of a device: operations a second of one large matrix product."""

from __future__ import annotations

import functools
import statistics

import torch

from mngac.tuning.timing import Clock

SIZES = {"cuda": 8192, "cpu": 1024}
RUNS = 10


@functools.cache
def peak_flops(clock: Clock, dtype: torch.dtype) -> float:
    """Operations a second, the median of some runs on random numbers."""
    size = SIZES[clock.device]
    a, b = (torch.randn(size, size, device=clock.device).to(dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    return 2 * size**3 / statistics.median(clock.took(lambda: a @ b) for _ in range(RUNS))
