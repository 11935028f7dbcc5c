"""The plain reference takes the same steps as the project's methods: a ratio of their times compares like with like."""

import pytest
import torch

from benchmarks.convolutions import Recorder
from benchmarks.settings import Settings
from benchmarks.sides import RATE, Ours, Reference
from benchmarks.training import METHODS
from mngac.methods.base import Batch, Step
from mngac.tuning.timing import Clock

SMALL = Settings(model="wrn_10_1", batch=6, image_size=12, attack_steps=(2, 3, 2))
CLOCK = Clock("cpu", 1)
KINDS = [(method, norms) for method in METHODS for norms in SMALL.kinds(method)]
NAMES = [f"{method} {norms[0] if norms else ''}".strip() for method, norms in KINDS]


def in_double(trainer, reference):
    """Both sides' networks in float64, and a batch."""
    networks = [trainer.classifier, reference.plain.net]
    networks += [noise for noise in (getattr(trainer.method, "generator", None), reference.plain.generator) if noise]
    for network in networks:
        network.double()
    batch = trainer.batch(0)
    return Batch(batch.x.double(), batch.y)


def close(found, expected):
    return all(torch.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in zip(found, expected, strict=True))


def moving(network):
    """Running means and variances."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


@pytest.mark.parametrize(("method", "norms"), KINDS, ids=NAMES)
def test_the_plain_step_has_the_same_loss_and_gradients(method, norms):
    trainer = SMALL.trainer(method, norms)
    trainer.classifier.train()
    reference = Reference(trainer, SMALL)
    batch, step = in_double(trainer, reference), Step(0, RATE, 0, "cpu")
    plain = reference.plain
    ours = trainer.method.loss(trainer.classifier, batch, step)
    theirs = plain.loss(batch.x.contiguous(), batch.y, step)
    assert theirs.item() == pytest.approx(ours.item(), rel=1e-9)
    plain.optimizer.zero_grad()
    ours.backward(), theirs.backward()
    assert close([w.grad for w in plain.net.parameters()], [w.grad for w in trainer.classifier.parameters()])
    assert close(moving(plain.net), moving(trainer.classifier))
    if plain.generator:
        assert close(plain.generator.parameters(), trainer.method.generator.parameters())


@pytest.mark.parametrize("method", ["adv_l1", "mng_ac"])
def test_what_is_recorded_of_a_step_are_the_operations_that_the_trainer_counts(method):
    ours = Ours(SMALL.trainer(method, ["l1"]))
    ours.step(0)
    with Recorder() as recorder:
        ours.step(1)
    assert recorder.total == sum(call.flops * count for call, count in recorder.calls.items())
    assert recorder.total == ours.trainer.meter.total() / 2 > 0


def test_the_look_at_the_generator_is_timed_for_the_share_of_steps_that_have_one():
    assert Ours(SMALL.trainer("nat")).watch_seconds(CLOCK, 0) == 0
    assert Ours(SMALL.trainer("mng_ac", ["l2"])).watch_seconds(CLOCK, 0) > 0


def test_a_recorded_call_is_made_again_with_the_same_shapes_strides_and_types():
    weight = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with Recorder() as first:
        torch.nn.functional.conv2d(x, weight.requires_grad_(), padding=1).sum().backward()
    with Recorder() as second, torch.no_grad():
        for call in first.calls:
            call.alone("cpu")()
    assert second.calls == first.calls and len(first.calls) == 2
    assert first.precision() == "float32 channels_last"
