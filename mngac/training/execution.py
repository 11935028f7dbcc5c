"""How a training is computed, beside what: memory format, precision by device, compiled or not."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from mngac.models.compiled import compile_forward
from mngac.models.layout import laid_out
from mngac.params.training import Training
from mngac.pipeline.progress import Log

FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16")
"""Names of processor features with products in bfloat16, on x86 and ARM."""


class Execution:
    """What `training` says of the computation, applied to a classifier and its batches on a device."""

    def __init__(self, training: Training, device: str, log: Log):
        self.training, self.device, self.log = training, device, log
        if device == "cpu" and training.precision.cpu == "bfloat16" and not fast_bfloat16():
            log.line(
                f"{log.name}: bfloat16 on a processor without instructions for it is many times slower than float32; "
                "training.<data set>.precision.cpu: float32"
            )

    def laid_out(self, images: Tensor) -> Tensor:
        """Images (batch, channels, height, width) in the memory format."""
        return laid_out(images, self.training.layout)

    def compile(self, classifier: nn.Module) -> None:
        """Lets the classifier's forward pass go through torch.compile; where that fails, training goes on without."""

        def tell(found: str) -> None:
            self.log.line(f"{self.log.name}: runs without torch.compile, which found: {found}")

        compile_forward(classifier, self.training.layout, tell)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """bfloat16 for the matrix products of the classifier, where params say so for the device."""
        wanted = self.training.precision.on(self.device)
        return torch.autocast(self.device, torch.bfloat16, enabled=wanted == "bfloat16")


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices by instructions of its own."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in FAST_BFLOAT16)
