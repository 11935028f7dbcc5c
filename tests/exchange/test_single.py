"""`mngac evaluate --images`: what becomes of single images, as the whole evaluation says it; nothing is written."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from torch import nn

from mngac import cli
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.models.files import Architecture, save_classifier
from mngac.results import records

STATED, SMALL = "digits: {linf: 0.15, l1: 1.5, l2: 0.55}", "digits: {linf: 0.005, l1: 0.1, l2: 0.03}"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with random images that a small net has right but for the fifth, in all splits, and the net as a row."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    text = (ROOT / "params.yaml").read_text()
    assert text.count(STATED) == 1
    Path("params.yaml").write_text(text.replace(STATED, SMALL))
    architecture = Architecture("wrn_10_1", 10, 1, 8)
    torch.manual_seed(0)
    net = architecture.build().eval()
    for module in net.modules():
        if isinstance(module, nn.Linear):
            module.weight.data *= 20
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = net(to_unit(images)).argmax(1)
    labels[4] = (labels[4] + 1) % 10
    parts = {name: store.Split(images.clone(), labels.clone(), 100 + torch.arange(12)) for name in store.SPLITS}
    store.save("data/digits.safetensors", parts, [f"class {c}" for c in range(10)])
    save_classifier("net.safetensors", net, architecture)
    row = Path("trained/digits/nat/seed0")
    row.mkdir(parents=True)
    shutil.copy("net.safetensors", row / "classifier.safetensors")
    return tmp_path


def test_each_images_fate_is_that_of_the_whole_evaluation_and_nothing_is_written(project, capsys):
    whole = ["evaluate", "--dataset", "digits", "--checkpoint", "net.safetensors", "--profile", "standard"]
    there = sorted(project.rglob("*"))
    assert cli.main([*whole, "--images", "2:9"]) == 0
    said = capsys.readouterr().out
    assert sorted(project.rglob("*")) == there
    row = ["--dataset", "digits", "--method", "nat", "--seed", "0", "--suite", "quick", "--profile", "standard"]
    assert cli.main(["evaluate", *row, "--images", "2:9"]) == 0
    assert capsys.readouterr().out == said
    assert cli.main([*whole, "--out", "r.json"]) == 0
    record = records.read("r.json")
    heads, _, *lines = said.splitlines()
    assert (
        heads.split()[:3] == ["image", "class", "predicted"] and "linf 0.005" in heads and max(map(len, heads)) <= 100
    )
    assert len(lines) == 7
    for i, line in zip(range(2, 9), lines, strict=True):
        index, _, label, _, predicted, linf, l2, l1, union = line.split()
        assert int(index) == 100 + i and (label == predicted) == (i != 4) == record.clean_correct[i]
        for norm, fate in (("linf", linf), ("l2", l2), ("l1", l1)):
            assert (fate == "holds") == record.robust(norm)[i]
            assert fate in ("holds", "wrong", "apgd_ce", "apgd_t") and (fate == "wrong") == (i == 4)
        assert (union == "holds") == record.union()[i] and (union == "wrong") == (i == 4)
    fates = [line.split()[-1] for line in lines]
    assert "broken" in fates and any("holds" in line for line in lines)


@pytest.mark.parametrize("span", ["5", "7:3", "0:13", "-1:3", "a:b", "0:0"])
def test_other_spans_are_refused(project, span, capsys):
    given = ["evaluate", "--dataset", "digits", "--checkpoint", "net.safetensors", f"--images={span}"]
    assert cli.main(given) == 2
    assert f'--images: found "{span}"; allowed: first:last, such as 0:16, of 0 to 12' in capsys.readouterr().err


def test_without_a_gpu_cuda_is_refused_in_one_line(project, capsys):
    text = Path("params.yaml").read_text()
    assert text.count("device: auto") == 1
    Path("params.yaml").write_text(text.replace("device: auto", "device: cuda"))
    whole = ["evaluate", "--dataset", "digits", "--checkpoint", "net.safetensors", "--profile", "standard"]
    assert cli.main([*whole, "--images", "2:9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mngac: ") and "cuda" in said and said.count("\n") == 1


def test_a_row_that_is_not_trained_yet_is_named(project, capsys):
    row = ["--dataset", "digits", "--method", "sat", "--seed", "0", "--suite", "quick", "--profile", "standard"]
    assert cli.main(["evaluate", *row, "--images", "0:2"]) == 2
    assert "trained/digits/sat/seed0/classifier.safetensors: not found; it is made by" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--out", "r.json"], ["--challenge"], ["--stated-clean", "90"]])
def test_what_would_write_or_judge_is_not_read_beside_it(project, more, capsys):
    given = ["evaluate", "--dataset", "digits", "--checkpoint", "net.safetensors", "--images", "0:2", *more]
    assert cli.main(given) == 2
    assert f"{more[0]}: not read with --images" in capsys.readouterr().err
