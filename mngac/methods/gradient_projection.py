"""RAMP's gradient projection: of what clean training did to the weights, the part that agrees with robust training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def projected(
    before: Mapping[str, Tensor], robust: Mapping[str, Tensor], clean: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """w = w_0 + (1 - b) g_robust + b max(0, cos(g_robust, g_clean)) g_clean, tensor by tensor.

    g are the changes of a tensor since `before`, weights and running statistics alike; the host waits for no device.
    Jiang and Singh 2024 (arXiv 2402.06827), algorithm 2 and the released code.

    Args:
        before: state of a classifier at the beginning of an epoch.
        robust: its state after training on attacked images.
        clean: its state after training on clean images instead.
        share: b, from 0 to 1; of 0 the robust state is what comes out, but for rounding.

    Returns:
        the state to go on from; tensors without a dimension, such as counts, are the robust ones.
    """
    found = {}
    for name, start in before.items():
        if start.dim() == 0:
            found[name] = robust[name].clone()
            continue
        step, other = robust[name] - start, clean[name] - start
        agreement = F.cosine_similarity(step.reshape(1, -1), other.reshape(1, -1)).clamp_min(0)
        found[name] = start + (1 - share) * step + share * agreement * other
    return found
