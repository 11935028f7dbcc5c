"""What a stage computes on: threads, device and algorithms as params state them; all set before torch is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mngac.pipeline.device import device_type, one_device, repeatable
from mngac.pipeline.memory import keep_freed_memory

if TYPE_CHECKING:
    from mngac.params.sections import Run


def machine_of(run: Run) -> dict[str, Any]:
    """Threads and device; on CUDA, whether its algorithms repeat: on the CPU all do."""
    stated = {"threads": run.threads, "device": device_type(run.device)}
    return {**stated, "deterministic": run.deterministic} if stated["device"] == "cuda" else stated


@contextlib.contextmanager
def computing(machine: Mapping[str, Any], locks: Path) -> Iterator[None]:
    """Within the block the process computes so, on a device that no other holds.

    Args:
        machine: what `machine_of` gives.
        locks: folder of the devices' locks.
    """
    # The thread pools read these once, when torch is imported.
    os.environ.update({name: str(machine["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
    keep_freed_memory()
    with one_device(machine["device"], locks), repeatable(machine.get("deterministic", False)):
        yield
