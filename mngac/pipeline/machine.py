"""What a stage computes on: threads, device and algorithms as params state them; all set before torch is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mngac.pipeline.device import decided, repeatable
from mngac.pipeline.memory import keep_freed_memory

if TYPE_CHECKING:
    from mngac.params.sections import Params, Run


def on_this_machine(params: Params) -> Params:
    """The parameters, with the device that `auto` means here."""
    if params.run.device != "auto":
        return params
    return params.model_copy(update={"run": params.run.model_copy(update={"device": decided("auto")})})


def machine_of(run: Run) -> dict[str, Any]:
    """Threads and device as stated; but on the CPU, whether algorithms repeat: there all do."""
    stated = {"threads": run.threads, "device": run.device}
    return stated if run.device == "cpu" else {**stated, "deterministic": run.deterministic}


@contextlib.contextmanager
def computing(machine: Mapping[str, Any], tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block the process computes so, on a GPU that no other job of the node holds.

    Args:
        machine: what `machine_of` gives of a device that is decided.
        tell: is told in one line of a wait for a GPU.

    Raises:
        UserError: for `cuda` where no GPU is to be seen.
    """
    # The thread pools read these once, when torch is imported.
    os.environ.update({name: str(machine["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        if machine["device"] == "cuda":
            from mngac.pipeline.gpus import leased_gpu

            stack.enter_context(leased_gpu(tell))
        stack.enter_context(repeatable(machine.get("deterministic", False)))
        yield
