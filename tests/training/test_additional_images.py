"""Additional images in training: their share of every batch, in the key and in the record, told in tables."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import entry, small
from stopping import stopped_at

from mngac.data import store
from mngac.params.checks import parse
from mngac.pipeline.jobs import job
from mngac.results.records import read
from mngac.results.rows import Row, marks_told
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The small run on the digits, with forty bright additional images in a file; the data is made."""
    monkeypatch.chdir(tmp_path)
    np.savez("more.npz", image=np.full((40, 8, 8, 1), 255, np.uint8), label=np.arange(40) % 10)
    params = parse(raw())
    job(params, "data", dataset="digits").run()
    return params


def raw(share=0.25, **training):
    found = copy.deepcopy(small(methods=("nat", "sat"), semi=("rst_linf",)))
    found["data"]["digits"]["additional"] = "more.npz"
    found["methods"]["sat"]["training"] = {"additional_share": share, **training}
    return found


def trained(params, method="sat"):
    found = job(params, "train", dataset="digits", method=method, seed="0")
    assert found.run() == "made"
    return found.outputs


def trainer(params, folder, method="sat", semi=False):
    data = store.load("data/digits.safetensors")
    more = store.Split(torch.full((40, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(40) % 10, torch.arange(40))
    training = params.training_for("digits", method)
    plan = Plan(training, params.radii_for("standard", "digits"), entry("sat"), 0)
    labels = torch.zeros(len(data.split("unlabelled")), dtype=torch.int64) if semi else None
    return Trainer(data, plan, folder, labels, more if training.additional_share else None)


@pytest.mark.parametrize(("share", "semi", "counts"), [(0.25, False, (48, 16)), (0.25, True, (16, 32, 16))])
def test_every_batch_holds_their_share(given, tmp_path, share, semi, counts):
    found = trainer(parse(raw(share)), tmp_path / "work", semi=semi)
    assert tuple(source.batch_size for source in found.batches) == counts
    for step in range(5):
        batch = found.batch(step)
        bright = (batch.x == 1).flatten(1).all(1)
        assert len(batch.x) == 64 and bright.tolist() == [False] * (64 - 16) + [True] * 16
    assert found.steps_per_epoch == 9


def test_the_share_is_the_methods_own_and_the_record_says_so(given):
    outputs = trained(given)
    assert json.loads(Path(outputs["train.json"]).read_text())["additional_images"] == 40
    trained(given, "nat")
    where = dict(dataset="digits", seed="0", suite="apgd", profile="standard")
    records = {}
    for method in ("sat", "nat"):
        found = job(given, "evaluate", method=method, **where)
        found.run()
        records[method] = Row(method, [read(found.outputs["record"])])
    assert records["sat"].label == "sat ‡" and records["nat"].label == "nat †"
    assert marks_told(records.values()) == [
        "†: trained without any attack.",
        "‡: trained on additional images too (sat 40).",
    ]


def test_only_who_reads_the_file_has_it_in_its_key(given):
    def values(method):
        return job(given, "train", dataset="digits", method=method, seed="0").values

    before = {method: values(method) for method in ("sat", "nat")}
    assert "additional" in before["sat"] and "additional" not in before["nat"]
    np.savez("more.npz", image=np.zeros((30, 8, 8, 1), np.uint8), label=np.arange(30) % 10)
    assert values("nat") == before["nat"] and values("sat") != before["sat"]
    assert job(given, "data", dataset="digits").values == job(parse(small()), "data", dataset="digits").values


def test_a_resumed_training_has_the_same_bytes(given, tmp_path, monkeypatch):
    whole = {name: Path(path).read_bytes() for name, path in trained(given).items()}
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    with stopped_at(monkeypatch, 0, 4), pytest.raises(KeyboardInterrupt):
        trained(given)
    assert Path(trained(given)["classifier.safetensors"]).read_bytes() == whole["classifier.safetensors"]


def test_a_checkpoint_of_other_images_is_another_trainings(given, tmp_path):
    one = trainer(given, tmp_path / "one")
    other = trainer(parse(raw(0)), tmp_path / "other")
    assert one.identity != other.identity
