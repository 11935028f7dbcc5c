"""The operations of a training step, foretold: just those that the meter counts of a real one, for every kind."""

import importlib

import pytest
import torch
from helpers import entry, raw_params, setup

from mngac.attacks.pgd import Attack
from mngac.methods.base import Batch
from mngac.methods.base import Step as TrainingStep
from mngac.params.checks import parse
from mngac.params.registry import find, kinds
from mngac.planning.networks import network, noise_generator
from mngac.planning.steps import EVERY, KINDS, Step, diagnostics, monitor, of_a_step
from mngac.planning.work import steps_of_an_epoch
from mngac.training.cost import Meter, Operations
from mngac.training.monitor import look
from mngac.training.plan import steps_of_an_epoch as real_steps_of_an_epoch

PARAMS = parse(raw_params())
METHODS = ["nat", "adv_linf", "adv_l1", "trades_linf", "adv_avg", "adv_max", "msd", "ramp", "soup"]
DRAWING = ["sat", "sat_ac", "sat_ac_noise", "eat", "mng_ac"]
MODELS = [("wrn_10_1", "digits", 1, 8), ("wrn_10_1", "cifar10", 3, 9)]
OTHER_MODELS = [("preact_resnet_18", "digits", 3, 8), ("resnet_50", "digits", 3, 8)]
IMAGES = 2


class Real:
    """A method with its classifier, on two images."""

    def __init__(self, name, model, dataset, channels, size, kind="pgd", **changes):
        self.config, training = entry(name, **changes), PARAMS.training_for(dataset)
        attack = training.attack.model_copy(update={"kind": kind})
        self.attacks = {norm: Attack(norm, 0.5, 0.1, attack.of(norm).steps, 2, kind) for norm in ("linf", "l1", "l2")}
        torch.manual_seed(0)
        self.classifier = find("models", model).load()(model, 10, channels, size).train()
        method = importlib.import_module(f"mngac.methods.{self.config.kind}").Method
        self.method = method(self.config, setup(attacks=self.attacks, channels=channels))
        self.method.initialise(self.classifier)
        self.batch = Batch(torch.rand(IMAGES, channels, size, size), torch.tensor([0, 1]))
        self.foretold = Step(
            self.config, attack, network(model, 10, channels, size), noise_generator(channels, size, True)
        )

    def counted(self):
        """Operations of one step, an image."""
        meter = Meter([self.classifier, *self.method.networks()])
        with meter.step():
            self.method.loss(self.classifier, self.batch, TrainingStep(0, 0.1, 0, "cpu")).backward()
        return meter.total() / IMAGES


@pytest.mark.parametrize("model", MODELS, ids=[dataset for _, dataset, *_ in MODELS])
@pytest.mark.parametrize("name", METHODS)
def test_a_step_has_the_operations_that_are_counted_of_it(name, model):
    real = Real(name, *model)
    assert of_a_step(real.foretold) == real.counted()


@pytest.mark.parametrize("model", MODELS, ids=[dataset for _, dataset, *_ in MODELS])
@pytest.mark.parametrize("name", DRAWING)
def test_a_step_in_a_norm_that_is_drawn_has_the_mean_over_norms(name, model):
    norms = ["linf", "l1", "l2"]
    each = [Real(name, *model, norms=[norm]) for norm in norms]
    assert [of_a_step(real.foretold) for real in each] == [real.counted() for real in each]
    mean = of_a_step(Real(name, *model, norms=norms).foretold)
    assert mean == pytest.approx(sum(real.counted() for real in each) / len(norms), rel=1e-12)


@pytest.mark.parametrize("name", ["adv_l1", "adv_max", "eat", "trades_linf", "msd", "soup"])
def test_so_it_is_where_training_attacks_by_apgd(name):
    drawn = {"norms": ["l2"]} if name == "eat" else {}
    real = Real(name, *MODELS[0], kind="apgd", **drawn)
    assert of_a_step(real.foretold) == real.counted()


@pytest.mark.parametrize("model", OTHER_MODELS, ids=[model for model, *_ in OTHER_MODELS])
@pytest.mark.parametrize("name", ["nat", "mng_ac"])
def test_so_it_is_on_the_other_models(name, model):
    real = Real(name, *model, **({"norms": ["linf"]} if name == "mng_ac" else {}))
    assert of_a_step(real.foretold) == real.counted()


def test_every_kind_of_method_is_foretold_and_one_imported_trains_nothing():
    assert set(KINDS) == set(kinds("methods"))
    imported = Real("nat", *MODELS[0]).foretold
    changed = imported.config.model_copy(update={"kind": "imported"})
    assert of_a_step(Step(changed, imported.attacks, imported.classifier, imported.generator)) == 0


def test_of_ones_own_kind_nothing_is_guessed():
    known = Real("nat", *MODELS[0]).foretold
    own = known.config.model_copy(update={"kind": "mine.methods:Mine"})
    assert of_a_step(Step(own, known.attacks, known.classifier, known.generator)) is None


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
def test_looking_at_the_generator_has_the_operations_that_are_counted_of_it(norm):
    real = Real("mng_ac", *MODELS[1], norms=[norm])
    real.counted()
    with Operations() as counted:
        real.method.watch(real.classifier)
    assert EVERY * diagnostics(real.foretold) == counted.total / IMAGES > 0
    assert diagnostics(Real("sat", *MODELS[1]).foretold) == 0


@pytest.mark.parametrize("kind", ["pgd", "apgd"])
def test_so_has_the_monitor_of_an_epoch(kind):
    real = Real("nat", *MODELS[1], kind=kind)
    generators = {norm: torch.Generator() for norm in real.attacks}
    with Operations() as counted:
        look(real.classifier, real.batch, real.attacks, 3, generators)
    assert monitor(real.foretold.classifier, real.foretold.attacks, 3) == counted.total / IMAGES


@pytest.mark.parametrize("images", [1, 63, 64, 65, 539])
@pytest.mark.parametrize("semi", [False, True])
@pytest.mark.parametrize(("stated", "stated_semi"), [(None, None), (7, None), (None, 9), (7, 9)])
def test_an_epoch_has_the_steps_of_a_training(images, semi, stated, stated_semi):
    training = PARAMS.training_for("digits")
    mixed = training.semi.model_copy(update={"steps_per_epoch": stated_semi})
    training = training.model_copy(update={"steps_per_epoch": stated, "semi": mixed})
    assert steps_of_an_epoch(training, images, semi) == real_steps_of_an_epoch(training, images, semi)
