"""A method's own training: its keys over its data set's, over the default's; in the key of its training alone."""

import copy

import pytest
from helpers import raw_params

from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.registry import find, kinds
from mngac.params.training import Training
from mngac.params.training_checks import OWN_ATTACK
from mngac.pipeline.jobs import job
from mngac.pipeline.values import printed


def params(**training):
    """params.yaml in which mng_ac states a training of its own."""
    raw = copy.deepcopy(raw_params())
    raw["methods"]["mng_ac"]["training"] = training
    return parse(raw)


def values(given, method="mng_ac", stage="train"):
    return job(given, stage, dataset="digits", method=method, seed="0").values


def test_it_lies_key_by_key_over_the_data_sets_over_the_default():
    found = params(epochs=20, attack={"l1": {"steps": 9}}, monitor={"steps": 2})
    training = found.training_for("digits", "mng_ac")
    assert isinstance(training, Training)
    assert (training.epochs, training.batch_size, training.momentum) == (20, 64, 0.9)
    assert (training.attack.l1.steps, training.attack.l1.top, training.attack.linf.steps) == (9, 3, 7)
    assert (training.monitor.steps, training.monitor.images) == (2, 64)
    assert found.training_for("digits") == found.training_for("digits", "sat") == params().training_for("digits")


def test_a_heir_has_it_too_and_states_what_differs():
    raw = copy.deepcopy(raw_params())
    raw["methods"]["mng_ac"]["training"] = {"epochs": 20, "momentum": 0.8}
    raw["methods"]["mng_ac_rst_linf"]["training"] = {"epochs": 25}
    training = parse(raw).training_for("digits", "mng_ac_rst_linf")
    assert (training.epochs, training.momentum) == (25, 0.8)


def test_null_takes_back_what_the_data_set_states():
    raw = copy.deepcopy(raw_params())
    raw["training"]["digits"]["steps_per_epoch"] = 5
    raw["methods"]["mng_ac"]["training"] = {"steps_per_epoch": None}
    assert [parse(raw).training_for("digits", m).steps_per_epoch for m in ("sat", "mng_ac")] == [5, None]


def test_only_its_own_training_has_another_key():
    plain, own = parse(raw_params()), params(weight_decay=0.001)
    assert values(own)["training"]["weight_decay"] == 0.001 != values(plain)["training"]["weight_decay"]
    assert values(own)["method"] == values(plain)["method"]
    assert values(own, "sat") == values(plain, "sat")
    where = {"dataset": "digits", "method": "mng_ac", "seed": "0", "suite": "quick", "profile": "standard"}
    assert job(own, "evaluate", **where).values == job(plain, "evaluate", **where).values


def test_its_model_is_the_one_that_an_evaluation_watches():
    where = {"dataset": "digits", "method": "mng_ac", "seed": "0", "suite": "quick", "profile": "standard"}
    roots = job(params(model="preact_resnet_18"), "evaluate", **where).stated()["code"]
    assert find("models", "preact_resnet_18").module in roots and find("models", "wrn_10_1").module not in roots


def test_a_key_holds_what_the_attack_does_not_read_but_others_may():
    """Under apgd: MNG-AC's diagnostics and msd move `top` coordinates; a method of one's own may call pgd."""
    apgd = {"attack": {"kind": "apgd"}}
    assert values(params(**apgd)) != values(params())
    for method in ("mng_ac", "msd"):
        raw = copy.deepcopy(raw_params())
        raw["training"]["digits"]["attack"]["kind"] = "apgd"
        before = values(parse(raw), method)
        raw["training"]["digits"]["attack"]["l1"]["top"] = 9
        assert values(parse(raw), method) != before
    assert values(params(attack={"kind": "pgd"})) == values(params())
    by_norm = {norm: {"kind": "apgd"} for norm in ("linf", "l1", "l2")}
    assert values(params(attack=by_norm)) == values(params(**apgd))


def test_a_norms_kind_wins_over_all_of_them():
    attack = params(attack={"kind": "apgd", "l2": {"kind": "pgd"}}).training_for("digits", "mng_ac").attack
    assert [attack.kind_in(norm) for norm in ("linf", "l1", "l2")] == ["apgd", "apgd", "pgd"]


def test_the_rows_by_apgd_differ_from_their_twins_in_the_attacks_kind_alone():
    found = parse(raw_params())
    for twin in ("sat", "sat_ac", "mng_ac"):
        ours, theirs = (found.training_for("digits", name) for name in (f"{twin}_apgd", twin))
        assert ours.attack.kind == "apgd" and theirs.attack.kind == "pgd"
        assert ours.model_copy(update={"attack": theirs.attack}) == theirs
        assert values(found, f"{twin}_apgd")["method"] == values(found, twin)["method"]


def test_a_classifier_that_brings_its_model_has_none():
    raw = copy.deepcopy(raw_params())
    theirs = {"kind": "imported", "checkpoint": "x.pt", "model": "wrn_10_1"}
    raw["methods"]["theirs"] = {**theirs, "training": {"epochs": 3}}
    with pytest.raises(ParamsError, match=r"^methods.theirs.training: not read by imported; allowed: checkpoint, mod"):
        parse(raw)


def test_the_kinds_that_do_not_attack_as_training_says_are_those_that_do_not_ask_for_it():
    """From their source: who calls `self.attack` attacks by the kind that `training.attack` states."""
    asks = {kind for kind in kinds("methods") if "self.attack(" in find("methods", kind).path.read_text()}
    assert set(kinds("methods")) - asks - {"imported"} == OWN_ATTACK and asks


def test_the_report_shows_a_null_of_an_own_training_and_no_other():
    shown = printed(params(steps_per_epoch=None))["methods"]["mng_ac"]
    assert shown["training"] == {"steps_per_epoch": None} and "noise" not in shown
    assert "training" not in printed(parse(raw_params()))["methods"]["mng_ac"]
