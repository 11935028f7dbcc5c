"""What a stage computes on, as params state it: threads, memory, one device, algorithms; before torch is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mngac.pipeline.device import device_type, one_device, repeatable
from mngac.pipeline.memory import keep_freed_memory

if TYPE_CHECKING:
    from mngac.params.sections import Run


@contextlib.contextmanager
def computing(run: Run, locks: Path) -> Iterator[None]:
    """Within the block the process computes as `run` says, on a device that no other holds.

    Args:
        run: the section of params.yaml.
        locks: folder of the devices' locks.
    """
    # The thread pools read these once, when torch is imported.
    os.environ.update({name: str(run.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
    keep_freed_memory()
    kind = device_type(run.device)
    with one_device(kind, locks), repeatable(kind == "cuda" and run.deterministic):
        yield
