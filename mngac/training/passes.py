"""What goes through networks, pass by pass: the largest logit, and the first tensor that is not finite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass
class Seen:
    """What the passes of networks showed so far."""

    passes: int = 0
    """Of the network that stands first."""
    largest: float = 0.0
    """Absolute value among its outputs, of those that are numbers."""
    first: str | None = None
    """The first tensor that was not finite, in words."""

    def look(self, what: str, values: Any) -> None:
        """Looks at what a module was given or answered; the host waits."""
        tensors = [value for value in (values if isinstance(values, tuple) else (values,)) if isinstance(value, Tensor)]
        if self.first is None and not all(bool(tensor.detach().isfinite().all()) for tensor in tensors):
            self.first = f"{what}, in pass {self.passes}"

    def answered(self, logits: Tensor) -> None:
        """Looks how large logits are."""
        self.largest = max(self.largest, logits.detach().float().nan_to_num(0.0).abs().max().item())


@contextlib.contextmanager
def watched(networks: Mapping[str, nn.Module]) -> Iterator[Seen]:
    """Within the block every pass of the networks is looked at, module by module.

    Args:
        networks: by name, the classifier first: its passes are counted, those of attacks among them.
    """
    seen, classifier = Seen(), next(iter(networks.values()))

    def begins(module: nn.Module, given: Any) -> None:
        seen.passes += 1

    def given_to(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, given: seen.look(f"what {name} was given", given)

    def output_of(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, given, answer: seen.look(f"output of {name}", answer)

    handles = [classifier.register_forward_pre_hook(begins)]
    handles.append(classifier.register_forward_hook(lambda module, given, answer: seen.answered(answer)))
    for name, network in networks.items():
        handles.append(network.register_forward_pre_hook(given_to(name)))
        for inner, module in network.named_modules():
            handles.append(module.register_forward_hook(output_of(".".join(filter(None, (name, inner))))))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
