"""Steps compared between devices get the same draws, and what differs is seen."""

import argparse

import pytest
import torch

from benchmarks import devices
from benchmarks.devices import HostDraws, HostStep, answer
from benchmarks.settings import Settings
from mngac.norms import LP
from mngac.streams import stream

SMALL = Settings(model="wrn_10_1", batch=4, image_size=8, attack_steps=(1, 1, 1))


@pytest.mark.parametrize("norm", LP)
def test_host_draws_change_nothing_on_the_host(norm):
    x = torch.rand(3, 1, 4, 4)
    with HostDraws():
        drawn = LP[norm].start(x, 0.5, stream(0, "a"))
    assert torch.equal(drawn, LP[norm].start(x, 0.5, stream(0, "a")))


@pytest.mark.parametrize("norm", LP)
def test_host_draws_come_from_the_host_whatever_device_is_asked_for(norm):
    """`meta` holds no numbers: had the generator been taken there, it would have been refused."""
    with HostDraws():
        assert LP[norm].start(torch.empty(3, 1, 4, 4, device="meta"), 0.5, stream(0, "a")).device.type == "meta"


def test_streams_of_a_host_step_lie_on_the_host():
    assert HostStep(0, 0.1, 0, "cuda").stream("a").device.type == "cpu"


def test_a_step_is_the_same_twice_and_agrees_with_float64():
    first, again, exact = (answer(SMALL, "mng_ac", ["l2"], "cpu", p) for p in ("float32", "float32", "float64"))
    assert first.loss == again.loss and torch.equal(first.generator, again.generator)
    assert exact.loss == pytest.approx(first.loss, rel=1e-4) and exact.loss != first.loss
    assert devices.cosine(first, exact) > 0.999


def test_a_wrong_gradient_or_loss_is_not_within_the_bounds(monkeypatch):
    parser = argparse.ArgumentParser()
    devices.add_options(parser)
    small = ["--model", "wrn_10_1", "--batch", "4", "--image-size", "8", "--attack-steps", "1", "1", "1"]
    a = parser.parse_args([*small, "--methods", "nat"])
    assert [row["within"] for row in devices.rows(a)] == [True, True]

    def wrong(chosen, method, norms, device, precision, number=0):
        found = answer(chosen, method, norms, device, precision, number)
        twisted = found.gradients.flip(0) if precision == "float64" else found.gradients
        loss = found.loss * (1.1 if precision == "bfloat16" else 1)
        return devices.Answer(loss, twisted, found.generator)

    monkeypatch.setattr(devices, "answer", wrong)
    assert [row["within"] for row in devices.rows(a)] == [False, False]
