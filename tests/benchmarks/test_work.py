"""The work of a training step stays at its floor: forward passes a step, at the benchmark's model and image size."""

import pytest

from benchmarks.settings import Settings
from benchmarks.sides import RATE
from benchmarks.training import METHODS
from mngac.models.frozen import frozen_statistics
from mngac.training.cost import flops_of_a_forward

SETTINGS = Settings(model="wrn_10_2", batch=1)
FLOOR = {
    "nat": 2.99, "adv_linf": 22.99, "adv_l1": 42.99, "adv_l2": 22.99, "trades_linf": 26.98, "sat": 29.66,
    "sat_ac": 32.65, "mng_ac": 46.0, "adv_avg": 88.97, "adv_max": 85.99, "msd": 102.99,
}  # fmt: skip
"""With the paper's 10 steps of l_inf, 20 of l_1, 10 of l_2; where a norm is drawn, the mean over norms."""


def passes(method, norms):
    """Operations of a step, in forward passes of its batch."""
    trainer = SETTINGS.trainer(method, norms)
    trainer.classifier.train()
    trainer._step(0, RATE)
    with frozen_statistics(trainer.classifier, "eval"):
        return trainer.meter.total() / flops_of_a_forward(trainer.classifier, trainer.batch(0).x)


def test_every_method_of_the_benchmark_has_its_floor():
    assert set(FLOOR) == set(METHODS)


@pytest.mark.parametrize(("method", "floor"), FLOOR.items())
def test_a_step_does_no_more_work_than_its_floor(method, floor):
    kinds = SETTINGS.kinds(method)
    found = sum(passes(method, norms) for norms in kinds) / len(kinds)
    assert 0.95 * floor < found <= floor + 0.02
