"""Divergences between posteriors: KL for TRADES, Jensen-Shannon for adversarial consistency.

Under autocast torch computes posteriors in float32.
"""

import torch
from torch.nn import functional as F

from mngac.shapes import Logits, Scalar

FLOOR = 1e-7


def kl(logits: Logits, logits_adv: Logits) -> Scalar:
    """Mean over the batch of KL(p(x) ‖ p(x')), the regulariser of TRADES (Zhang et al. 2019, equation 5)."""
    return F.kl_div(logits_adv.log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True)


def jensen_shannon(*logits: Logits) -> Scalar:
    """JS(p_1 .. p_n) = 1/n sum_i KL(p_i ‖ m), m = clamp(mean_i p_i, 1e-7, 1), mean over the batch.

    Targets are clamped too: a zero probability gives a NaN gradient otherwise (Madaan et al. 2021, consistency).
    """
    posteriors = [each.softmax(1).clamp(FLOOR, 1) for each in logits]
    mixture = torch.stack([each.softmax(1) for each in logits]).mean(0).clamp(FLOOR, 1).log()
    terms = [F.kl_div(mixture, posterior, reduction="batchmean") for posterior in posteriors]
    return torch.stack(terms).mean()
