"""How finely logits are resolved: half precision moves in steps that float32 does not know."""

from __future__ import annotations

import torch

from mngac.evaluation.consistency import SAME
from mngac.shapes import Logits

ROUNDINGS = 2
"""Steps of the largest logit by which a few roundings in half precision may move one."""


def resolution(logits: Logits) -> float:
    """The relative step of the logits' precision, at least float32's: images are float32."""
    return max(torch.finfo(logits.dtype).eps, torch.finfo(torch.float32).eps)


def coarseness(logits: Logits) -> float:
    """Times that the logits' step is larger than float32's: 1, 8,192 for float16, 65,536 for bfloat16."""
    return resolution(logits) / torch.finfo(torch.float32).eps


def below_notice(logits: Logits) -> float:
    """Share of the largest logit by which logits may differ by rounding alone."""
    return max(SAME, ROUNDINGS * resolution(logits))
