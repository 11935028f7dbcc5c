"""What a training costs, in numbers that repeat: operations counted step by step, and time on the processor.

Counting every operation in Python makes a small classifier train 1.6 times as long. But steps are of few kinds, and
steps of one kind cost the same: one of each is measured, the others are told apart by light hooks and counted.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mngac.models.compiled import plain


class Operations(TorchDispatchMode):
    """Adds up the floating-point operations of convolutions and matrix products, by torch's own formulas.

    torch's FlopCounterMode also follows modules, by hooks that do not bear gradients to a leaf alone, as attacks ask.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, or torch imports the compiler, for a second, to tell it to pass this class by."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation and counts it."""
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula:
            self.note(func, args, formula(*args, **(kwargs or {}), out_val=out))
        return out

    def note(self, func: Any, args: tuple[Any, ...], flops: int) -> None:
        """Adds one operation's."""
        self.total += flops


def flops_of_a_forward(network: nn.Module, x: Tensor) -> int:
    """Floating-point operations of convolutions and matrix products in one forward pass of a batch."""
    with Operations() as counted, torch.no_grad():
        network(x)
    return counted.total


class Meter:
    """Counts the operations of steps, attacks and double backward included, whatever a method does in them.

    The kind of a step is what hooks see of it: how often each network was called, on which shapes, with which
    gradients wanted, and how often gradients came back to its outputs, its inputs and its weights. A kind that is met
    while nothing is measured is owed: steps are then measured until it comes again.
    """

    def __init__(self, networks: Iterable[nn.Module]):
        self.steps: dict[str, int] = {}
        """Steps of each kind so far."""
        self.flops: dict[str, int] = {}
        """Operations of one step of each kind that was measured."""
        self.to_images = False
        """Whether a step asked for gradients to what a network was given: those that any attack climbs."""
        self.networks = list(networks)
        self._seen: Counter[Any] | None = None
        for place, network in enumerate(self.networks):
            self._watch(place, network)

    def _watch(self, place: int, network: nn.Module) -> None:
        def called(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            if self._seen is None:
                return
            given, graph = _tensors((*args, *named.values())), torch.is_grad_enabled()
            self._seen[place, "call", graph, *((t.shape, t.requires_grad) for t in given)] += 1
            for tensor in given if graph else ():
                if tensor.requires_grad:
                    tensor.register_hook(lambda grad: self._back(place, "input", grad))

        def answered(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            for tensor in _tensors(out if isinstance(out, tuple) else (out,)) if self._seen is not None else ():
                if tensor.requires_grad:
                    tensor.register_hook(lambda grad: self._back(place, "output", grad))

        # Where gradients come back to tells passes apart that look alike forward: an attack's stop at the image, a
        # step's reach the weights, a second-order one's want a graph themselves. One weight stands for a whole network.
        network.register_forward_pre_hook(called, with_kwargs=True)
        network.register_forward_hook(answered)
        for weight in [w for w in network.parameters() if w.requires_grad][:1]:
            weight.register_hook(lambda grad: self._back(place, "weights", grad))

    def _back(self, place: int, where: str, grad: Tensor) -> None:
        if self._seen is not None:
            self._seen[place, where, grad.requires_grad] += 1
            self.to_images |= where == "input"

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Counts what happens within as one step."""
        self._seen = Counter()
        try:
            if self.owed():
                with contextlib.ExitStack() as stack:
                    for network in self.networks:
                        stack.enter_context(plain(network))
                    counted = stack.enter_context(Operations())
                    yield
                self.flops.setdefault(self._kind(), counted.total)
            else:
                yield
            kind = self._kind()
            self.steps[kind] = self.steps.get(kind, 0) + 1
        finally:
            self._seen = None

    def _kind(self) -> str:
        return _name(frozenset((self._seen or {}).items()))

    def owed(self) -> bool:
        """Whether a step is to be measured: none was yet, or one of a kind that was never measured has passed."""
        return not self.steps or not self.flops.keys() >= self.steps.keys()

    def total(self) -> int | None:
        """Operations of all steps; None where a kind came while nothing was measured, and never again."""
        return None if self.owed() else sum(count * self.flops[kind] for kind, count in self.steps.items())

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, to resume."""
        return {"steps": dict(self.steps), "flops": dict(self.flops), "to_images": self.to_images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self.steps, self.flops, self.to_images = dict(state["steps"]), dict(state["flops"]), state["to_images"]


@functools.cache
def _name(events: frozenset[Any]) -> str:
    return hashlib.sha256("\n".join(sorted(map(str, events))).encode()).hexdigest()[:12]


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    return [value for value in values if isinstance(value, Tensor)]


class Stopwatch:
    """Seconds of the processor alone: CPU time of this process, or on CUDA time between events of the device."""

    def __init__(self, device: str):
        self.cuda = device == "cuda"
        self.last = self._mark()

    def _mark(self) -> Any:
        if not self.cuda:
            return time.process_time()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.last = self.last, self._mark()
        if not self.cuda:
            return self.last - before
        self.last.synchronize()
        return before.elapsed_time(self.last) / 1000
