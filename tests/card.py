"""A card that is not there: tensors of the device `lazy`, to show without a GPU what one would be asked to do.

On the card autograd works, the host's tensors may not be mixed in, and whatever would make the host wait for a CUDA
device is written down. There are two such cards: on `Card` the host computes the numbers, so that a whole evaluation
runs; on `FakeCard` there are shapes alone, so that the largest classifier costs nothing.
"""

from __future__ import annotations

import linecache
import traceback
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

LAZY = torch.device("lazy:0")
ROOMS = tuple(str(Path(__file__).parent.parent / room) for room in ("mngac", "tests"))
aten = torch.ops.aten

READS = {aten._local_scalar_dense, aten.equal, aten.is_nonzero}
"""Operations whose result is a number of the host's."""
SIZES = {aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.bincount}
"""Operations whose result has a shape that depends on the numbers."""
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}


class MixedError(RuntimeError):
    """A tensor of the host's met one of the card's."""


class OnCard(Tensor):
    """A tensor on the card, whose numbers are kept in `numbers`, a tensor of the host's."""

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnCard:
        return Tensor._make_wrapper_subclass(
            cls, numbers.shape, numbers.stride(), numbers.storage_offset(), dtype=numbers.dtype, device=LAZY
        )

    def __init__(self, numbers: Tensor):
        self.numbers = numbers

    __module__ = "torch"  # by which foolbox knows a tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on the card's tensors, outside the card")

    def __repr__(self) -> str:
        return f"OnCard({self.numbers})"

    def __format__(self, form: str) -> str:
        return format(self.item(), form)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.detach().clone()

    def tolist(self) -> Any:
        """Copied to the host."""
        return self.cpu().tolist()


class Watched(TorchDispatchMode):
    """Tells what happens on the card from what happens on the host, and writes down each wait for the card."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        """What made the host wait, with the package's line that asked for it."""
        self.streams: dict[int, str] = {}
        """Kind of device that the stream of each seed was asked for; its numbers are the host's."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        to = kwargs.get("device")
        if all(t.device.type == "cpu" for t in given) and (to is None or torch.device(to).type == "cpu"):
            return self.on_host(func, args, kwargs)
        self._judge(func, given, args, kwargs)
        return self.on_card(func, args, kwargs)

    def __enter__(self) -> Any:
        # A tensor from a list is then made on the host and copied, which is an operation that can be seen.
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._lifted)

    def on_host(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operation of the host's."""
        return func(*args, **kwargs)

    def on_card(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operation of the card's, or from one side to the other."""
        raise NotImplementedError

    def _judge(self, func: Any, given: list[Tensor], args: Any, kwargs: Any) -> None:
        """Writes down a wait; raises what torch would for a mixture."""
        packet = func.overloadpacket
        host = [t for t in given if t.device.type == "cpu"]
        if packet in READS:
            self._wait("a number read")
        elif packet in SIZES or (packet is aten.repeat_interleave and kwargs.get("output_size") is None):
            self._wait(f"a shape that depends on numbers: {packet}")
        elif packet in INDEXED:
            index = [t for t in args[1] if t is not None]
            if any(t.dtype in (torch.bool, torch.uint8) for t in index):
                self._wait("an index by a mask")
            if any(t.device.type == "cpu" for t in index):
                self._wait("an index from the host")
            host = [t for t in host if all(t is not i for i in index)]
        elif packet in (aten._to_copy, aten.copy_):
            ends = {t.device.type for t in given} | (
                {torch.device(kwargs["device"]).type} if kwargs.get("device") else set()
            )
            blocking = not (kwargs.get("non_blocking") or (packet is aten.copy_ and len(args) > 2 and args[2]))
            pinned = packet is aten._to_copy and given[0].device.type == "cpu" and given[0].is_pinned()
            if len(ends) > 1 and (blocking or not pinned):
                self._wait("a copy between host and card")
            return
        if any(t.dim() for t in host):
            raise MixedError(f"{func} of the card's tensors and the host's, {[tuple(t.shape) for t in host]}")
        generator = kwargs.get("generator")
        if generator is not None and self.streams.get(generator.initial_seed(), "cpu") != "lazy":
            raise MixedError(f"{func} on the card, from a stream of the host's")

    def _wait(self, what: str) -> None:
        lines = [
            (f.f_code.co_filename, line) for f, line in traceback.walk_stack(None) if f.f_code.co_filename != __file__
        ]
        file, line = next((found for found in lines if found[0].startswith(ROOMS)), lines[0])
        self.waits.append(f"{what}: {file}:{line}: {linecache.getline(file, line).strip()}")

    def generator(self, device: Any = "cpu") -> types.SimpleNamespace:
        """In place of torch.Generator(device), of which a stream takes the seed: one of the host's stands for it."""

        def manual_seed(seed: int) -> torch.Generator:
            self.streams[seed] = torch.device(device).type
            return torch.Generator().manual_seed(seed)

        return types.SimpleNamespace(manual_seed=manual_seed)


class Card(Watched):
    """A card on which the host computes."""

    def on_card(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Computes on the real tensors; what comes out is the card's, unless it was copied to the host."""
        to = kwargs.get("device")
        inner = {**kwargs, "device": "cpu"} if to is not None else kwargs
        unwrapped = tree_map(lambda t: t.numbers if isinstance(t, OnCard) else t, (args, inner))
        if func.overloadpacket is aten._efficientzerotensor:  # forward-mode gradients: zeros that are not there
            func = aten.zeros.default
        out = func(*unwrapped[0], **unwrapped[1])
        if to is not None and torch.device(to).type == "cpu":
            return out
        wrapped = tree_map(lambda t: OnCard(t) if isinstance(t, Tensor) else t, out)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)


class FakeCard(Watched):
    """A card of shapes: nothing is computed, and a number that is read is zero."""

    def on_host(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The host computes as ever."""
        with unset_fake_temporarily():
            return func(*args, **kwargs)

    def on_card(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Follows the shapes."""
        if func.overloadpacket in READS:
            return 0.0 if args[0].dtype.is_floating_point else 0
        return func(*args, **{**kwargs, "generator": None} if "generator" in kwargs else kwargs)


@contextmanager
def card(kind: type[Watched], monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A card, on which the package's named random streams have generators too."""
    with ExitStack() as stack:
        if kind is FakeCard:
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        watched = kind()
        was = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, was)
        patch = stack.enter_context(monkeypatch.context())
        patch.setattr("mngac.streams.torch", types.SimpleNamespace(Generator=watched.generator, device=torch.device))
        stack.enter_context(watched)
        yield watched
