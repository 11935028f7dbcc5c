"""A classifier's forward pass through torch.compile, and the plain one for what a compiled pass cannot do."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mngac.models.layout import laid_out
from mngac.params.errors import cut

LONGEST = 200
"""Characters of what prevents compilation."""


class CompiledForward:
    """A forward pass through torch.compile; from the first failure on, the plain one.

    A graph is made for each combination of grad mode, shape of the images, batch norms' flags and weights' gradients.

    Args:
        classifier: whose pass it is.
        layout: memory format that images are brought into: another one would be another graph. With one channel torch
            takes either for the other, and operations on images change it.
        tell: is told in one line what prevents compilation, where something does.
        sizes_vary: whether batches are of many sizes, for which one graph then serves.
    """

    def __init__(self, classifier: nn.Module, layout: str, tell: Callable[[str], None], sizes_vary: bool = False):
        self.classifier, self.layout, self.tell, self.sizes_vary = classifier, layout, tell, sizes_vary
        self.plain = classifier.forward
        self.compiled = torch.compile(self.plain, dynamic=None if sizes_vary else False)
        self.used = True
        self.hindrance = ""
        """What prevented compilation; empty where nothing did yet."""

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        if not self.used or self.hindrance:
            return self.plain(x)
        from torch._dynamo import config as tracing

        try:
            with tracing.patch(fail_on_recompile_limit_hit=True):
                return self.compiled(laid_out(x, self.layout))
        except Exception as error:
            found = _first_line(error)
        logits: Tensor = self.plain(x)  # or the classifier's own error
        self.hindrance = found
        self.tell(self.hindrance)
        return logits

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledForward:
        """The pass of the classifier's copy: with the original's bound method it would use the original's weights.

        One that is made while the plain pass is used stays with that: it is for what is too rare to compile.
        """
        made = CompiledForward(copy.deepcopy(self.classifier, memo), self.layout, self.tell, self.sizes_vary)
        made.used = self.used
        return made


def compile_forward(classifier: nn.Module, layout: str, tell: Callable[[str], None], sizes_vary: bool = False) -> None:
    """Compiles the forward pass and, with it, the gradients, at the first use of each mode; arguments as there.

    Where torch makes more graphs than its limit, it would run all further ones uncompiled without a word: here that is
    a failure like any other. As many processes compile as torch has threads.
    """
    from torch._inductor import config as compiler

    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # else it misses CUDA wherever none is
    compiler.compile_threads = torch.get_num_threads()
    classifier.forward = CompiledForward(classifier, layout, tell, sizes_vary)


@contextlib.contextmanager
def plain(classifier: nn.Module) -> Iterator[None]:
    """Within the block the forward pass is the plain one: to differentiate twice, to see its operations, or for what
    is too rare to compile."""
    compiled = vars(classifier).get("forward")
    if not isinstance(compiled, CompiledForward):
        yield
        return
    used, compiled.used = compiled.used, False
    try:
        yield
    finally:
        compiled.used = used


def hindrance(classifier: nn.Module) -> str:
    """What prevented compilation, in a line; empty where nothing did, or where it was not asked for."""
    return getattr(vars(classifier).get("forward"), "hindrance", "")


def _first_line(error: Exception) -> str:
    return cut(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}", LONGEST)
