"""Pseudo-labels: a teacher's, or those that a pickle brings along, read without running anything in it."""

import os
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from mngac.cli import main
from mngac.data.pickles import read_pickle
from mngac.data.pseudo_labels import brought_along, label, load_pseudo_labels, save_pseudo_labels
from mngac.data.store import DataSet, Split
from mngac.params.errors import DataError
from mngac.params.sections import PseudoLabel


class Bright(nn.Module):
    """Class 1 where the mean is over one half."""

    def forward(self, x):
        score = 20 * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-score, score], 1)


def data(known=True):
    values = torch.tensor([0, 255, 250, 5], dtype=torch.uint8)
    images = values.view(4, 1, 1, 1).expand(4, 1, 2, 2).contiguous()
    truth = torch.tensor([0, 1, 1, 0])
    part = Split(images, truth, torch.arange(4))
    pool = Split(images, torch.tensor([0, 1, 0, 0]) if known else torch.full((4,), -1), torch.arange(4))
    return DataSet(dict(train=part, validation=part, unlabelled=pool, test=part), ["dark", "bright"], "digest")


def test_the_teacher_labels_and_what_is_known_of_it_is_recorded():
    labels, facts = label(Bright(), data(), "cpu", PseudoLabel(labels="teacher", min_accuracy=0.9))
    assert labels.tolist() == [0, 1, 1, 0]
    assert facts["validation_accuracy"] == 1 and facts["class_counts"] == [2, 2]
    assert facts["confidence_histogram"] == [0] * 9 + [4] and facts["agreement_with_teacher"] == 1


def test_labels_brought_along_are_taken_only_when_asked_for():
    labels, facts = label(Bright(), data(), "cpu", PseudoLabel(labels="data", min_accuracy=0.9))
    assert labels.tolist() == [0, 1, 0, 0] and facts["agreement_with_teacher"] == 0.75
    with pytest.raises(DataError, match="4 unlabelled images have no label"):
        brought_along(data(known=False))


def test_labels_of_another_data_set_are_refused(tmp_path):
    save_pseudo_labels(tmp_path / "l", torch.zeros(4, dtype=torch.int64), "another", {})
    with pytest.raises(DataError, match="another data set"):
        load_pseudo_labels(tmp_path / "l", data())


def content(**changes):
    images = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    return {"data": images, "extrapolated_targets": np.array([0, 1, 1]), **changes}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_of_arrays_is_read(tmp_path, protocol):
    path = tmp_path / "pool.pickle"
    path.write_bytes(pickle.dumps(content(), protocol=protocol))
    images, labels = read_pickle(str(path), (3, 2, 2), 2)
    assert images.shape == (3, 3, 2, 2) and images[0, 1, 0, 0] == 1 and labels.tolist() == [0, 1, 1]


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


WRONG = {
    "runs something": (pickle.dumps(content(extra=Harmful())), "only numpy arrays"),
    "truncated": (pickle.dumps(content())[:-20], "no pickle of arrays"),
    "a list": (pickle.dumps([1]), "allowed: a pickle of data"),
    "other keys": (pickle.dumps({"data": 1}), "extrapolated_targets"),
    "floats": (pickle.dumps(content(data=np.zeros((3, 2, 2, 3)))), "allowed: uint8"),
    "another size": (pickle.dumps(content(data=np.zeros((3, 4, 4, 3), np.uint8))), "2, 2, 3"),
    "labels missing": (pickle.dumps(content(extrapolated_targets=np.array([0]))), "allowed: \\(3,\\)"),
    "labels too large": (pickle.dumps(content(extrapolated_targets=np.array([0, 1, 9]))), "0 to 1"),
    "HTML": (b"<!DOCTYPE html><html>", "HTML|web page|pickle"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_pickle_is_refused_in_one_line_and_runs_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.pickle").write_bytes(WRONG[name][0])
    with pytest.raises(DataError, match=WRONG[name][1]) as error:
        read_pickle(str(tmp_path / "pool.pickle"), (3, 2, 2), 2)
    assert "\n" not in str(error.value) and not (tmp_path / "harmed").exists()


def test_a_pickle_is_the_unlabelled_part_of_a_data_set(tmp_path, monkeypatch):
    import yaml
    from helpers import small

    from mngac.data import store

    monkeypatch.chdir(tmp_path)
    images = np.zeros((5, 8, 8, 1), np.uint8)
    (tmp_path / "pool.pkl").write_bytes(pickle.dumps({"data": images, "extrapolated_targets": np.arange(5)}))
    raw = small(methods=("nat",))
    raw["data"]["digits"]["unlabelled"] = "pool.pkl"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    assert main(["data", "--dataset", "digits"]) == 0
    assert store.load("data/digits.safetensors").split("unlabelled").labels.tolist() == [0, 1, 2, 3, 4]
