"""Where the C library keeps freed memory: with the process, so that the next tensor of that size costs no page fault.

glibc gives each large block back to the system when it is freed, and the system clears it, page by page, when it is
asked for again. A training step frees and asks for the same tensors thousands of times.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""Parameters of mallopt (malloc.h)."""
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 * 2**20}


def keep_freed_memory() -> bool:
    """Large blocks come from the heap, which is not given back; whether the C library can be told so (glibc can)."""
    return tell_malloc(KEEP)


def tell_malloc(values: Mapping[int, int]) -> bool:
    """Sets parameters of mallopt; whether the C library has it and took them all."""
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(parameter, value) for parameter, value in values.items())
