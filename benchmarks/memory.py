"""Memory: the most that a process held, and which of malloc's settings a side of a comparison runs under."""

from __future__ import annotations

import re
import resource
import sys
from importlib import import_module
from pathlib import Path

STATUS = Path("/proc/self/status")


def allocator(kept: bool) -> bool:
    """Has freed memory kept for the next tensor, or malloc as it comes; False where the package has no such setting."""
    name = "keep_freed_memory" if kept else "default_memory"
    try:
        setting = getattr(import_module("mngac.pipeline.memory"), name)
    except (ImportError, AttributeError):
        return False
    setting()
    return True


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
