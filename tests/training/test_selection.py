"""Which epoch's classifier is kept: the last, or the one with the best union on validation images."""

import copy
import json
from pathlib import Path

import pytest
import torch
from helpers import small
from stopping import stopped_at
from torch import nn

from mngac.data.store import Split
from mngac.evaluation.loop import Evaluation
from mngac.models.files import load_classifier
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.sections import Radii
from mngac.params.suites import suite_of
from mngac.pipeline.jobs import job
from mngac.results.records import AttackRecord, read
from mngac.training import validation
from mngac.training.selection import Best
from mngac.training.validation import Validation

SELECT = {"epoch": "best", "suite": "apgd", "every": 1}


def params(epochs=3, n=40, **select):
    """The small run, whose training keeps the best epoch by APGD in two steps."""
    raw = copy.deepcopy(small(methods=("sat",), epochs=epochs, split="validation"))
    raw["training"]["digits"]["select"] = {**SELECT, **select}
    raw["evaluation"]["apgd"]["n"] = n
    return parse(raw)


def made(given, stage="train", **where):
    if not Path("data/digits.safetensors").exists():
        job(given, "data", dataset="digits").run()
    found = job(given, stage, dataset="digits", method="sat", seed="0", **where)
    assert found.run() == "made"
    return found.outputs


def lines_of(outputs):
    return [json.loads(line) for line in Path(outputs["train.jsonl"]).read_text().splitlines()]


def test_the_first_of_the_best_is_kept_and_given_back(monkeypatch):
    told = iter([3, 5, 5, 4])

    def evaluate(classifier, images, labels, suite, radii, *, device):
        held = next(told)
        column = "1" * held + "0" * (len(labels) - held)
        attacks = [AttackRecord(name="x", norm="linf", radius="1", correct=column, rejected=0, forwards=1)]
        return Evaluation("1" * len(labels), attacks, [], {})

    monkeypatch.setattr(validation, "evaluate", evaluate)
    images = Split(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.zeros(8).long(), torch.arange(8))
    given = Validation(images, suite_of("apgd"), Radii(linf=1, l1=1, l2=1), "cpu")
    best, network, unions = Best(given), nn.Linear(1, 1), []
    for epoch in range(1, 5):
        nn.init.constant_(network.weight, epoch)
        unions.append(best.look(network, epoch))
    assert unions == [37.5, 62.5, 62.5, 50.0]
    resumed = Best(given)
    resumed.load_state_dict(best.state_dict())
    resumed.put(network)
    assert network.weight.item() == 2 and (resumed.epoch, resumed.union) == (2, 62.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training that keeps the best epoch, its lines and summary."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("selected")
    patch.chdir(folder)
    patch.setenv("MNGAC_CACHE", str(folder / "cache"))
    outputs = made(params())
    yield folder, lines_of(outputs), json.loads(Path(outputs["train.json"]).read_text())
    patch.undo()


def test_the_kept_classifier_has_the_best_union_of_the_log(trained, monkeypatch):
    folder, lines, summary = trained
    unions = [line["selection_union"] for line in lines]
    assert len(unions) == 3 and summary["epochs"] == 3
    assert summary["selected_epoch"] == 1 + unions.index(max(unions))
    monkeypatch.chdir(folder)
    record = read(made(params(), "evaluate", suite="apgd", profile="standard")["record"])
    assert record.split == "validation" and record.n == 40
    assert round(100 * sum(record.union()) / 40, 2) == max(unions)
    assert record.provenance["training"]["selected_epoch"] == summary["selected_epoch"]


def test_an_earlier_epoch_is_kept_where_it_was_the_best(trained, tmp_path, monkeypatch):
    """The training is that of one which keeps its last epoch; only what is kept differs."""
    _, lines, _ = trained
    look = Best.look
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Best, "look", lambda best, network, epoch: look(best, network, epoch) if epoch == 1 else 0.0)
    best = made(params())
    kept = Path(best["classifier.safetensors"]).read_bytes()
    assert json.loads(Path(best["train.json"]).read_text())["selected_epoch"] == 1
    last = made(params(epoch="last"))
    assert [line["loss"] for line in lines_of(last)] == [line["loss"] for line in lines]
    assert json.loads(Path(last["train.json"]).read_text())["selected_epoch"] == 3
    assert kept != Path(last["classifier.safetensors"]).read_bytes()


def test_looks_are_as_far_apart_as_is_said_and_the_last_epoch_has_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = lines_of(made(params(every=2, n=8)))
    assert ["selection_union" in line for line in lines] == [False, True, True]


@pytest.mark.parametrize("stop", [(1, 1), (2, 4)])
def test_a_training_resumed_at_any_step_keeps_the_same_epoch(trained, tmp_path, monkeypatch, stop):
    folder, lines, summary = trained
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    job(params(), "data", dataset="digits").run()
    with stopped_at(monkeypatch, *stop), pytest.raises(KeyboardInterrupt):
        made(params())
    outputs = made(params())
    assert [line["selection_union"] for line in lines_of(outputs)] == [line["selection_union"] for line in lines]
    assert json.loads(Path(outputs["train.json"]).read_text())["selected_epoch"] == summary["selected_epoch"]
    theirs = folder / "trained/digits/sat/seed0/classifier.safetensors"
    assert Path(outputs["classifier.safetensors"]).read_bytes() == theirs.read_bytes()


def test_a_classifier_that_is_not_trained_is_kept_as_it_is(trained, tmp_path, monkeypatch):
    folder, _, _ = trained
    file = folder / "trained/digits/sat/seed0/classifier.safetensors"
    raw = copy.deepcopy(small(methods=("nat", "theirs")))
    raw["training"]["digits"] |= {"select": SELECT, "average": {"decay": 0.9}}
    raw["methods"]["theirs"] = {"kind": "imported", "checkpoint": str(file), "model": "wrn_10_1"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    given = parse(raw)
    job(given, "data", dataset="digits").run()
    found = job(given, "train", dataset="digits", method="theirs", seed="0")
    assert found.run() == "made"
    ours, theirs = (
        load_classifier(path, "cpu").state_dict() for path in (found.outputs["classifier.safetensors"], file)
    )
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_only_who_compares_epochs_has_the_suite_and_its_code_in_the_key():
    def stated(**changes):
        return job(params(**changes), "train", dataset="digits", method="sat", seed="0").stated()

    best, last = stated(), stated(epoch="last")
    assert {"mngac.training.selection", "mngac.evaluation.acceptance"} <= set(best["code"])
    assert not [module for module in last["code"] if "selection" in module or "evaluation" in module]
    assert stated(n=8) != best and stated(n=8, epoch="last") == last == stated(epoch="last", every=3, suite="pgd")


@pytest.mark.parametrize(
    ("select", "validation", "said"),
    [
        ({"suite": "apdg"}, 0.2, 'training.digits.select.suite: found "apdg"; allowed: one of '),
        ({}, 0, 'training.digits.select.epoch: found "best"; allowed: last, since data.digits.validation is 0'),
        ({"every": 0}, 0.2, "training.digits.select.every: found 0; allowed: greater than 0"),
        ({"epoch": "first"}, 0.2, "training.digits.select.epoch: found \"first\"; allowed: 'last' or 'best'"),
    ],
)
def test_what_can_not_be_selected_by_is_refused_in_one_line(select, validation, said):
    raw = copy.deepcopy(small(methods=("sat",)))
    raw["training"]["digits"]["select"] = {**SELECT, **select}
    raw["data"]["digits"]["validation"] = validation
    with pytest.raises(ParamsError) as error:
        parse(raw)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
