"""Which operations of training cannot repeat on CUDA: those that torch lists as without a deterministic algorithm."""

import pytest
import torch
from card import FakeCard, card
from device_steps import PARAMS, TRAINED, Training, batch, classifier, method
from torch.utils._python_dispatch import TorchDispatchMode

from mngac.models.files import Architecture

aten = torch.ops.aten
WITHOUT = {
    aten.cumsum,
    aten.histc,
    aten.put_,
    aten.median,
    aten.nll_loss2d_forward,
    aten.nll_loss2d_backward,
    aten._adaptive_avg_pool2d_backward,
    aten.adaptive_max_pool2d_backward,
    aten.fractional_max_pool2d_backward,
    aten.max_unpool2d,
    aten.reflection_pad2d_backward,
    aten.grid_sampler_2d_backward,
    aten.upsample_bilinear2d_backward,
    aten.upsample_bicubic2d_backward,
}
"""Of torch.use_deterministic_algorithms' list, what images may meet."""
KNOWN = {aten.cumsum}
"""Row by row in the projections of l_1 and l_2; torch refuses to promise it for any shape (docs/gpu.md)."""


class Asked(TorchDispatchMode):
    """Notes the operations that torch does not promise to repeat, on floating-point numbers."""

    def __init__(self):
        super().__init__()
        self.without = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in WITHOUT and args[0].is_floating_point():
            self.without.add(func.overloadpacket)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", TRAINED)
def test_a_methods_step_repeats_but_for_sums_along_rows(name):
    training = Training(method(PARAMS.methods[name], "cpu"), classifier("wrn_10_1", "cpu"), batch(2, "cpu"))
    with Asked() as asked:
        training.step(0)
    assert asked.without <= KNOWN


@pytest.mark.parametrize("model", ["wrn_28_10", "preact_resnet_18", "resnet_50", "authors_resnet"])
def test_a_models_backward_pass_repeats_and_stays_on_the_card(monkeypatch, model):
    with card(FakeCard, monkeypatch) as watched, torch.device("lazy"):
        network = Architecture(model, 10, 3, 64).build()
        watched.waits.clear()  # of counters in batch norm, made on the host
        with Asked() as asked:
            network(torch.rand(2, 3, 64, 64)).sum().backward()
    assert asked.without == set() and watched.waits == []


def test_the_check_can_fail():
    with Asked() as asked:
        torch.rand(3).cumsum(0)
    assert asked.without == {aten.cumsum}
