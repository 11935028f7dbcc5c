"""The most memory that a training needs: in a process of its own on the CPU, as the card's allocator says on CUDA."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import torch

from benchmarks import memory
from benchmarks.settings import Settings
from benchmarks.sides import Ours, Reference, side

STEPS = 2


def peak_bytes(name: str, settings: Settings, method: str, norms: list[str] | None) -> int:
    """Bytes that a side (`ours` or `plain`) adds at most, with its network and batches."""
    if settings.device == "cuda":
        return _on_card(name, settings, method, norms)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_of_process, name, settings, method, norms).result()


def _of_process(name: str, settings: Settings, method: str, norms: list[str] | None) -> int:
    torch.set_num_threads(settings.threads)
    if name == "ours":
        memory.allocator(kept=True)
    _load_libraries(name, settings)
    before = memory.held()
    taken = side(name, settings, method, norms)
    _take_steps(taken)
    return memory.highest() - before


def _take_steps(taken: Ours | Reference) -> None:
    for number in range(STEPS):
        taken.step(number)
        if isinstance(taken, Ours):
            taken.look()


def _load_libraries(name: str, settings: Settings) -> None:
    """What a first step makes the process load, whatever it trains, is no training's."""
    side(name, replace(settings, model="wrn_10_1", batch=2, image_size=8), "nat", None).step(0)


def _on_card(name: str, settings: Settings, method: str, norms: list[str] | None) -> int:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    taken = side(name, settings, method, norms)
    _take_steps(taken)
    return torch.cuda.max_memory_allocated() - before
