"""What the hardware gives: the convolutions and matrix products of a step, each timed alone.

A step is run under a mode that notes each call with its shapes, strides, types and options; each distinct call is then
timed by itself, warm, on tensors of the same layout. Their sum is the time that no code around them can go below with
the same calls.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from mngac.training.cost import Operations
from mngac.tuning.timing import Clock

LEAST_SECONDS, LEAST_CALLS = 0.03, 3


@dataclass(frozen=True)
class Like:
    """A tensor without its numbers: shape, strides, type."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @property
    def layout(self) -> str:
        """`channels_last`, `contiguous` or `other`."""
        empty = torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device="meta")
        if empty.is_contiguous():
            return "contiguous"
        last = empty.dim() == 4 and empty.is_contiguous(memory_format=torch.channels_last)
        return "channels_last" if last else "other"

    def fresh(self, device: str) -> Tensor:
        """Such a tensor, of random numbers; an expanded one shares its memory as the first did."""
        numbers = 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        return torch.randn(numbers, device=device).to(self.dtype).as_strided(self.shape, self.strides)


@dataclass(frozen=True)
class Call:
    """An operation on tensors like these."""

    operation: Any
    arguments: tuple[Any, ...]
    flops: int

    def alone(self, device: str) -> Callable[[], Any]:
        """The call on tensors of its own."""

        def made(value: Any) -> Any:
            if isinstance(value, Like):
                return value.fresh(device)
            return [made(v) for v in value] if isinstance(value, tuple) else value

        arguments = [made(value) for value in self.arguments]
        return lambda: self.operation(*arguments)

    @property
    def tensors(self) -> list[Like]:
        """What it is given."""
        return [value for value in self.arguments if isinstance(value, Like)]


class Recorder(Operations):
    """Counts the convolutions and matrix products that run within, by what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Call] = Counter()

    def note(self, func: Any, args: tuple[Any, ...], flops: int) -> None:
        """Adds one operation's, and notes what it was given."""
        super().note(func, args, flops)
        self.calls[Call(func, tuple(_noted(a) for a in args), flops)] += 1

    def precision(self) -> str:
        """Type and layout of the most of them, by operations, such as `float32 channels_last`."""
        most = self._most()
        return f"{str(most.dtype).removeprefix('torch.')} {most.layout}"

    def dtype(self) -> torch.dtype:
        """Type of the most of them."""
        return self._most().dtype

    def _most(self) -> Like:
        share: dict[tuple[Any, ...], int] = {}
        like: dict[tuple[Any, ...], Like] = {}
        for call, count in self.calls.items():
            last = call.tensors[-1]
            key = (last.dtype, last.layout)
            share[key], like[key] = share.get(key, 0) + count * call.flops, last
        return like[max(share, key=lambda key: share[key])]


def _noted(value: Any) -> Any:
    """Something hashable: tensors without their numbers, lists as tuples."""
    noted = tree_map(lambda v: Like(tuple(v.shape), tuple(v.stride()), v.dtype) if isinstance(v, Tensor) else v, value)
    return tuple(noted) if isinstance(noted, list) else noted


@torch.no_grad()
def seconds_alone(recorder: Recorder, clock: Clock) -> float:
    """Seconds of all calls noted, each distinct one timed by itself."""
    return sum(count * _seconds(call.alone(clock.device), clock) for call, count in recorder.calls.items())


def _seconds(call: Callable[[], Any], clock: Clock) -> float:
    """The median of a few runs of a call, of many calls each where one is short."""
    for _ in range(2):
        call()
    once = max(clock.took(call), 1e-6)
    many = max(1, round(LEAST_SECONDS / LEAST_CALLS / once))

    def repeated() -> None:
        for _ in range(many):
            call()

    return statistics.median(clock.took(repeated) / many for _ in range(LEAST_CALLS))
