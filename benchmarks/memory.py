"""Memory: the most that a process held, and which of malloc's settings a side of a comparison runs under."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from mngac.pipeline.memory import MMAP_MAX, TOP_PAD, TRIM_THRESHOLD, keep_freed_memory, tell_malloc

MMAP_THRESHOLD = -3

STATUS = Path("/proc/self/status")


def keep_as_glibc_does() -> bool:
    """What glibc comes to by itself where tensors are up to 32 MiB: it raises its thresholds to what was freed.

    A call of mallopt ends that, so the end is set: blocks above 32 MiB are given back, and the heap above 64 MiB.
    """
    return tell_malloc({MMAP_MAX: 65_536, MMAP_THRESHOLD: 32 * 2**20, TRIM_THRESHOLD: 64 * 2**20, TOP_PAD: 0})


def allocator(kept: bool) -> bool:
    """Has freed memory kept for the next tensor, or malloc as it comes; whether the C library can be told so."""
    return keep_freed_memory() if kept else keep_as_glibc_does()


def held() -> int:
    """Bytes of memory that the process holds now."""
    return _status("VmRSS") or highest()


def highest() -> int:
    """The most bytes that it ever held: of this program alone, which a fork's `ru_maxrss` is not."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or (kilobytes if sys.platform == "darwin" else kilobytes * 1024)


def _status(key: str) -> int | None:
    found = re.search(rf"^{key}:\s+(\d+) kB", STATUS.read_text(), re.M) if STATUS.exists() else None
    return 1024 * int(found[1]) if found else None
