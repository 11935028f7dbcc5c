"""What stands beside every figure: processor, cores, threads, card, versions, commit, date."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import torch

from mngac.pipeline.provenance import commit

UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Instructions that decide what a convolution costs."""


def facts() -> dict[str, Any]:
    """The machine and the versions that a figure was measured with."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*: (.+)$", told, re.M)
    flags = re.search(r"^flags\s*: (.+)$", told, re.M)
    has = set(flags[1].split()) if flags else set()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "cpu_flags": [unit for unit in UNITS if unit in has],
        "cores": os.cpu_count(),
        "cores_allowed": affinity,
        "threads": torch.get_num_threads(),
        **_card(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def _card() -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {}
    about = torch.cuda.get_device_properties(0)
    return {
        "gpu": about.name,
        "gpu_memory_gb": round(about.total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }
