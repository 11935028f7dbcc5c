"""Where a training step spends its time: torch's operators by their own seconds, the costliest first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import settings
from benchmarks.memory import allocator
from benchmarks.sides import RATE

WARM, STEPS = 2, 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    settings.add_options(parser)
    parser.add_argument("--method", default="mng_ac")
    parser.add_argument("--norm", default=None, help="where it draws one (default: the first)")
    parser.add_argument("--most", type=int, default=12, help="operators shown")


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row an operator."""
    torch.set_num_threads(a.threads)
    allocator(kept=True)
    chosen = settings.settings_of(a)
    norms = [a.norm] if a.norm else chosen.kinds(a.method)[0]
    trainer = chosen.trainer(a.method, norms)
    trainer.classifier.train()
    for number in range(WARM):
        trainer._step(number, RATE)
    cuda = trainer.device == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
        for number in range(WARM, WARM + STEPS):
            trainer._step(number, RATE)
        if cuda:
            torch.cuda.synchronize()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    found = sorted(profiled.key_averages(), key=lambda event: -getattr(event, key))
    whole = sum(getattr(event, key) for event in found)
    for event in found[: a.most]:
        yield {
            "method": f"{a.method} {norms[0]}" if norms else a.method,
            "operator": event.key[:60],
            "calls_a_step": round(event.count / STEPS, 1),
            "ms_a_step": round(getattr(event, key) / 1000 / STEPS, 3),
            "share": round(getattr(event, key) / whole, 4),
        }
