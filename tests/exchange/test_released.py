"""Released files: imported whole or not at all, as a row of the DAG, and a folder of them at once."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers import FIXTURES, small, write_params
from safetensors.torch import load_file

from mngac.cli import main
from mngac.data.store import Split, empty_like, save
from mngac.models.files import Architecture, load_classifier
from mngac.params.checks import parse
from mngac.pipeline.jobs import job

FILES = ["official_wrn_10_1.pth", "official_wrn_10_1_legacy.pth"]


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A data set of the authors' image shape, and parameters with an imported row."""
    import yaml

    monkeypatch.chdir(tmp_path)
    images = (255 * torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))).to(torch.uint8)
    parts = {p: Split(images.clone(), torch.arange(12) % 10, torch.arange(12)) for p in ("train", "validation", "test")}
    save("data/shapes.safetensors", {**parts, "unlabelled": empty_like(images)}, list("abcdefghij"))
    raw = small(methods=("nat",), datasets=["shapes"])
    raw["data"]["shapes"] = raw["data"]["digits"]
    raw["radii"]["standard"]["shapes"] = raw["radii"]["standard"]["digits"]
    raw["training"]["shapes"] = raw["training"]["digits"]
    shutil.copy(FIXTURES / FILES[1], tmp_path / "released.pt")
    raw["methods"]["released"] = {"kind": "imported", "checkpoint": "released.pt", "model": "wrn_10_1"}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    return raw


@pytest.mark.parametrize("file", FILES)
def test_the_authors_files_import_and_give_their_logits(cifar, file):
    where = ["--model", "wrn_10_1", "--dataset", "shapes", "--out", "c.safetensors"]
    assert main(["import-checkpoint", str(FIXTURES / file), *where]) == 0
    io = load_file(FIXTURES / "official_wrn_10_1_io.safetensors")
    logits = load_classifier("c.safetensors", "cpu")(io["x"])
    torch.testing.assert_close(logits, io["logits_eval"], rtol=0, atol=1e-5)


def test_what_does_not_fit_is_refused_with_every_key_and_nothing_is_written(cifar, capsys):
    weights = torch.load(FIXTURES / FILES[0], weights_only=True)
    del weights["module.fc.bias"]
    weights["module.extra"] = torch.zeros(1)
    torch.save(weights, "broken.pt")
    where = ["--model", "wrn_10_1", "--dataset", "shapes", "--out", "c.safetensors"]
    assert main(["import-checkpoint", "broken.pt", *where]) == 2
    said = capsys.readouterr().err
    assert "missing: fc.bias" in said and "unexpected: extra" in said and said.count("\n") == 1
    assert not Path("c.safetensors").exists()


def test_an_imported_row_flows_through_train_and_evaluate(cifar):
    params = parse(cifar)
    wild = dict(dataset="shapes", method="released", seed="0")
    assert job(params, "train", **wild).run() == "made"
    cost = json.loads(Path("trained/shapes/released/seed0/train.json").read_text())
    assert cost["images_seen"] == 0 and cost["seconds"] is None and cost["model"] == "wrn_10_1"
    evaluation = job(params, "evaluate", **wild, suite="apgd", profile="standard")
    assert evaluation.run() == "made"
    record = json.loads(Path(evaluation.outputs["record"]).read_text())
    assert record["method"] == "released" and record["n"] == 12


def test_another_file_under_the_same_name_is_another_key(cifar):
    params = parse(cifar)
    wild = dict(dataset="shapes", method="released", seed="0")
    before = job(params, "train", **wild).key_parts()
    shutil.copy(FIXTURES / FILES[0], "released.pt")
    assert job(params, "train", **wild).key_parts() != before


def test_a_folder_in_the_place_of_a_checkpoint_is_refused_with_its_key(cifar, capsys):
    cifar["methods"]["released"]["checkpoint"] = "folder"
    Path("folder").mkdir()
    write_params(Path(), cifar)
    assert main(["train", "--dataset", "shapes", "--method", "released", "--seed", "0"]) == 2
    said = capsys.readouterr().err
    assert said == "mngac: methods.released.checkpoint: found the folder folder; allowed: a file of weights\n"


def test_a_folder_of_released_files_is_evaluated_at_once(cifar, capsys):
    Path("folder").mkdir()
    for file in FILES:
        shutil.copy(FIXTURES / file, Path("folder", file))
    where = ["--model", "wrn_10_1", "--dataset", "shapes", "--suite", "apgd", "--n", "4", "--out", "again"]
    assert main(["reevaluate", "folder", *where]) == 0
    printed = capsys.readouterr().out
    assert all(Path(file).stem in printed for file in FILES)
    assert "not re-evaluated: this suite is known to overstate" in printed
    records = [json.loads(p.read_text()) for p in sorted(Path("again").glob("*.json"))]
    assert len(records) == 2 and records[0]["clean"] == records[1]["clean"] and records[0]["n"] == 4


def test_files_of_one_stem_are_told_apart(cifar, capsys):
    Path("two").mkdir()
    weights = Architecture("wrn_10_1", 10, 3, 32).build().state_dict()
    for name in ("a.pt", "a.pth", "b.pt"):
        torch.save(weights, Path("two", name))
    asked = ["--model", "wrn_10_1", "--dataset", "shapes", "--suite", "pgd", "--n", "1", "--out", "again"]
    assert main(["reevaluate", "two", *asked]) == 0
    assert sorted(path.name for path in Path("again").iterdir()) == [
        f"{name}-pgd-standard.json" for name in ("a.pt", "a.pth", "b")
    ]


def test_an_empty_folder_is_refused(cifar, capsys):
    Path("folder").mkdir()
    where = ["--model", "wrn_10_1", "--dataset", "shapes", "--suite", "apgd", "--out", "again"]
    assert main(["reevaluate", "folder", *where]) == 2
    assert "no file of weights" in capsys.readouterr().err
