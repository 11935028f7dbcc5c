"""Honest half precision raises no flag of the probes; what masks its gradients there does."""

import copy

import pytest
import torch
from evaluation_helpers import digits, trained
from torch import nn

from benchmarks.cheats import CHEATS
from mngac.evaluation.probes import probe

HALF = [torch.bfloat16, torch.float16]
N = 128


class Half(nn.Module):
    """A classifier in half precision: its weights, or torch.autocast."""

    def __init__(self, inner: nn.Module, dtype: torch.dtype, autocast: bool):
        super().__init__()
        self.inner, self.dtype, self.autocast = copy.deepcopy(inner), dtype, autocast
        if not autocast:
            self.inner.to(dtype)
        self.eval()

    def forward(self, x):
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.autocast):
            return self.inner(x if self.autocast else x.to(self.dtype))


class Narrowed(nn.Module):
    """A classifier in float32 that gives its logits in half precision."""

    def __init__(self, inner: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.inner, self.dtype = inner, dtype
        self.eval()

    def forward(self, x):
        return self.inner(x).to(self.dtype)


@pytest.mark.parametrize("autocast", [False, True], ids=["weights", "autocast"])
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_an_honest_classifier_in_half_precision_raises_no_flag(dtype, autocast):
    half = Half(trained(), dtype, autocast)
    x, y = digits(N)
    with torch.no_grad():
        assert half(x).dtype == dtype
    assert probe(half, x, y) == ([], True)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("rounding of the logits", "the gradient to the image is zero"),
        ("last bits thrown away", "the gradient to the image is zero"),
        ("a detached branch", "the gradient is not that of the logits, by finite differences"),
    ],
)
def test_half_precision_hides_no_masked_gradient(name, flag, dtype):
    x, y = digits(N)
    found = probe(Narrowed(CHEATS[name].cheat(trained(), x, y), dtype), x, y).flags
    assert any(each.startswith(flag) for each in found), found
