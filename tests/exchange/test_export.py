"""What an export's folder holds, and that others can load it."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from evaluation_helpers import record
from robustbench_form import WideResNet

from mngac import cli
from mngac.exchange import model_card
from mngac.exchange.export import autoattack_log, export, model_info
from mngac.models.files import Architecture, load_classifier, save_classifier
from mngac.models.foreign import load_foreign
from mngac.params.errors import ParamsError
from mngac.results.records import RecordError

CLEAN = "1110"
COLUMNS = {
    "apgd_ce linf": "110.",
    "apgd_t linf": "10..",
    "fab_t linf": "1...",
    "square linf": "1...",
    "apgd_ce l1": "111.",
    "apgd_ce l2": "101.",
}
TIMES = {"seconds": {"clean": 0.5, "apgd_ce linf": 1.5, "apgd_t linf": 2.0}}


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    architecture = Architecture("wrn_16_2", 10, 3, 32)
    model = architecture.build()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    path = tmp_path / "trained" / "cifar10" / "mng_ac" / "seed3" / "classifier.safetensors"
    save_classifier(path, model, architecture)
    cost = {"schema": 1, "images_seen": 1000, "epochs": 2, "seconds": 30.0, "device": "NVIDIA H200"}
    path.with_name("train.json").write_text(json.dumps(cost))
    return path


def write(folder, **changes):
    given = {"dataset": "cifar10", "method": "mng_ac", "seed": 3, "suite": "autoattack", "timing": TIMES, **changes}
    made = record(CLEAN, COLUMNS, **given)
    path = folder / f"{made.suite}-{made.profile}.json"
    path.write_text(made.to_json())
    return str(path)


def test_an_exported_wrn_loads_strictly_into_robustbench_form_and_gives_the_same_logits(tmp_path, checkpoint):
    what = export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    content = torch.load(tmp_path / "out" / f"{what.name}.pt", weights_only=True)
    theirs = WideResNet(16, 2, 10)
    theirs.load_state_dict(content["state_dict"], strict=True)
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        ours = load_classifier(checkpoint, "cpu")(x)
        assert torch.allclose(theirs.eval()(x), ours, atol=1e-6)
        again = load_foreign(tmp_path / "out" / f"{what.name}.pt", "wrn_16_2", 10, 3, 32)
        assert torch.equal(again(x), ours)
        safe = load_classifier(tmp_path / "out" / "classifier.safetensors", "cpu")
        assert torch.equal(safe(x), ours)


def test_model_info_has_robustbench_fields_and_the_added_ones(tmp_path, checkpoint):
    gpu = {"code": "c", "device": "cuda", "params": {"suite": {"attacks": []}}}
    export(str(checkpoint), [write(tmp_path, provenance=gpu)], str(tmp_path / "out"))
    info = json.loads((tmp_path / "out" / "model_info.json").read_text())
    assert {"link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "eps"} < set(
        info
    )
    assert (info["architecture"], info["clean_acc"], info["autoattack_acc"]) == ("WideResNet-16-2", "75.00", "25.00")
    assert info["norms"] == {"linf": 25.0, "l1": 75.0, "l2": 50.0}
    assert info["radii"] == {"linf": "0.1", "l1": "1.0", "l2": "0.4"}
    assert (info["union"], info["average"], info["n"], info["unreliable"]) == (25.0, 50.0, 4, False)
    assert info["gpu_seconds"] == {"training": 30.0, "evaluation": 4.0}


@pytest.mark.parametrize(
    ("model", "said"),
    [("wrn_16_2", "loads strictly into RobustBench's WideResNet"), ("wrn_16_2_softplus", "not a WideResNet")],
)
def test_a_card_says_whether_robustbenchs_class_is_the_same_classifier(tmp_path, checkpoint, model, said):
    architecture = Architecture(model, 10, 3, 32)
    save_classifier(checkpoint, architecture.build(), architecture)
    what = export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    assert said in model_card.text(what, model_info(what))
    assert model_info(what)["architecture"] == ("WideResNet-16-2" if model == "wrn_16_2" else model)


@pytest.mark.parametrize(
    ("training", "additional"),
    [
        (None, False),
        ({"stage": "train", "training": {"additional_share": 0.0}}, False),
        ({"stage": "train", "training": {"additional_share": 0.7}}, True),
        ({"stage": "train_semi", "training": {"additional_share": 0.0}}, True),
        ({"stage": "train_tuned", "training": {}, "start": {"stage": "train_semi", "training": {}}}, True),
        ({"stage": "train_tuned", "training": {}, "start": {"stage": "train", "training": {}}}, False),
        ({"stage": "train_tuned", "training": {}, "start": None}, None),
        (
            {"stage": "train_tuned", "training": {}, "start": {"stage": "train", "training": {}, "checkpoint": "f"}},
            None,
        ),
    ],
)
def test_model_info_says_whether_other_images_were_seen(tmp_path, checkpoint, monkeypatch, training, additional):
    monkeypatch.setattr("mngac.exchange.export._training_params", lambda path: training)
    export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "model_info.json").read_text())["additional_data"] is additional


def test_autoattack_accuracy_is_null_where_the_standard_version_did_not_run(tmp_path, checkpoint):
    flags = ["apgd_t linf is not standard: 5 target classes in place of 9"]
    for changes in ({"suite": "apgd"}, {"flags": flags}):
        export(str(checkpoint), [write(tmp_path, **changes)], str(tmp_path / "out"))
        info = json.loads((tmp_path / "out" / "model_info.json").read_text())
        assert info["autoattack_acc"] is None and info["reported"] == "25.00"


def test_the_log_reads_like_autoattacks(tmp_path):
    text = autoattack_log(record(CLEAN, COLUMNS, timing=TIMES))
    assert "initial accuracy: 75.00%" in text
    assert "robust accuracy after APGD-CE: 50.00% (total time 1.5 s)" in text
    assert "robust accuracy after APGD-T: 25.00% (total time 3.5 s)" in text


def test_an_imported_classifier_is_exported_as_one_that_was_not_trained_here(tmp_path, checkpoint):
    for device in ("cpu", "NVIDIA H200"):
        cost = {"schema": 1, "images_seen": 0, "epochs": 0, "seconds": None, "device": device}
        checkpoint.with_name("train.json").write_text(json.dumps(cost))
        export(str(checkpoint), [write(tmp_path)], str(tmp_path / device))
        assert "Nothing was trained here" in (tmp_path / device / "README.md").read_text()
        assert json.loads((tmp_path / device / "model_info.json").read_text())["gpu_seconds"]["training"] == 0


@pytest.mark.parametrize(("of_start", "in_all"), [(90.0, 120.0), (None, None)])
def test_a_fine_tuned_classifier_is_exported_with_what_its_start_took(tmp_path, checkpoint, of_start, in_all):
    cost = {"schema": 1, "images_seen": 1000, "epochs": 3, "seconds": 30.0, "device": "NVIDIA H200"}
    cost["start"] = {"method": "theirs", "seconds": of_start}
    checkpoint.with_name("train.json").write_text(json.dumps(cost))
    export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    card, info = ((tmp_path / "out" / name).read_text() for name in ("README.md", "model_info.json"))
    assert "3 epochs, 1,000 images seen, 30 s on NVIDIA H200. Fine-tuned from a classifier of theirs" in card
    assert json.loads(info)["gpu_seconds"]["training"] == in_all


def test_the_card_states_results_limits_and_red_flags(tmp_path, checkpoint):
    flags = ["the classifier is stochastic: the same images give other logits"]
    paths = [write(tmp_path), write(tmp_path, suite="pgd", flags=flags)]
    export(str(checkpoint), paths, str(tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| union" in card and "25.00" in card and "4.6 to 69.9" in card
    assert "2 epochs, 1,000 images seen, 30 s on NVIDIA H200" in card
    assert "- the classifier is stochastic: the same images give other logits (pgd-standard)" in card
    assert "The training parameters are not known" in card
    assert "Robust accuracy is an upper bound" in card
    assert (tmp_path / "out" / "autoattack-standard.log").exists()
    assert (tmp_path / "out" / "records" / "pgd-standard.json").exists()


@pytest.mark.parametrize("change", [{"seed": 4}, {"method": "sat"}, {"dataset": "svhn"}])
def test_a_record_of_another_classifier_is_refused(tmp_path, checkpoint, change):
    with pytest.raises(RecordError, match="is not of"):
        export(str(checkpoint), [write(tmp_path, **change)], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_record_of_normalised_images_is_refused(tmp_path, checkpoint):
    normalised = {"classifier": {"model": "wrn_16_2", "mean": [0.5], "std": [0.5]}}
    with pytest.raises(RecordError, match="its images were normalised"):
        export(str(checkpoint), [write(tmp_path, provenance=normalised)], str(tmp_path / "out"))


def test_the_command_writes_the_folder(tmp_path, checkpoint, capsys):
    out = tmp_path / "out"
    assert cli.main(["export", "--checkpoint", str(checkpoint), "--record", write(tmp_path), "--out", str(out)]) == 0
    names = {p.name for p in out.iterdir()}
    assert names == {
        *("classifier.safetensors", "config.json", "cifar10-mng_ac-seed3.pt", "model_info.json", "README.md"),
        *("records", "autoattack-standard.log"),
    }


def test_an_export_that_fails_leaves_no_file_and_what_was_there(tmp_path, checkpoint, monkeypatch):
    out = tmp_path / "out"
    export(str(checkpoint), [write(tmp_path)], str(out))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(self, content):
        if self.name.startswith(".README.md"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(self, content)

    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        export(str(checkpoint), [write(tmp_path, flags=["another"])], str(out))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_card_begins_with_what_the_hub_reads(tmp_path, checkpoint):
    export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    head, found, rest = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    about = yaml.safe_load(found)
    assert head == "" and rest.lstrip().startswith("# ")
    assert about["library_name"] == "mngac" and about["pipeline_tag"] == "image-classification"
    [model] = about["model-index"]
    for result in model["results"]:
        values = {metric["name"].split()[0]: metric["value"] for metric in result["metrics"]}
        assert set(values) == {"clean", "linf", "l1", "l2", "union"} and values["union"] == 25.0
        assert result["dataset"]["type"] in about["datasets"] and result["task"]["type"] == "image-classification"


def test_the_card_shows_what_records_say_as_it_stands(tmp_path, checkpoint):
    flags = ["<img src=x onerror=alert(1)> [click](javascript:x) `code` | cell"]
    export(str(checkpoint), [write(tmp_path, flags=flags)], str(tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert r"- \<img src=x onerror=alert(1)\> \[click\](javascript:x) \`code\` \| cell (autoattack-standard)" in card


def test_parameters_can_not_end_their_block_of_code(tmp_path, checkpoint):
    what = export(str(checkpoint), [write(tmp_path)], str(tmp_path / "out"))
    card = model_card.text(replace(what, training={"stage": "```\n# heading"}), model_info(what))
    assert "````yaml\n" in card and card.count("````") == 2


def test_a_model_of_ones_own_is_exported_only_where_the_command_names_it(tmp_path, monkeypatch):
    (tmp_path / "net_to_export.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    architecture = Architecture("net_to_export:flat", 10, 1, 8)
    save_classifier(tmp_path / "c.safetensors", architecture.build(), architecture)
    given = (str(tmp_path / "c.safetensors"), [write(tmp_path, dataset="nowhere")], str(tmp_path / "out"))
    with pytest.raises(ParamsError, match="asks to run"):
        export(*given)
    with pytest.raises(ParamsError, match=r"--model: found .*; allowed: net_to_export:flat"):
        export(*given, model="wrn_10_1")
    assert not (tmp_path / "out").exists()
    assert export(*given, model="net_to_export:flat").name == "nowhere-mng_ac-seed3"


NET = """
from torch import nn

def flat(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))
"""
