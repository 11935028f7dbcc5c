"""Measuring a card: its params are params, phases go on where they were stopped, and records become a page."""

import argparse
import json
import time

import pytest
from helpers import ROOT
from tiny_data import pack, write_tree

from benchmarks import measure_cifar10 as script
from benchmarks import measured
from benchmarks.records_page import records_page
from mngac.params.checks import parse


def options(folder, *more):
    found = []
    original, script.Measurement = script.Measurement, lambda a: found.append(a) or argparse.Namespace(run=lambda: None)
    try:
        script.main(["--archive", "images.tar.xz", "--out", str(folder), *more])
    finally:
        script.Measurement = original
    return found[0]


@pytest.mark.parametrize("more", [(), ("--try",)])
def test_its_params_are_accepted(tmp_path, more, monkeypatch):
    a = options(tmp_path, *more)
    raw = script.params(a)
    params = parse(raw)
    training = params.training_for(script.NAME)
    assert training.model == ("wrn_10_1" if more else "preact_resnet_18")
    assert params.evaluation["aa2"].n == (10 if more else 1000)
    assert params.run.methods[0] == "mng_ac" and params.run.device == ("cpu" if more else "cuda")


def broken_off(path, benchmark, command, rows, then):
    """A run that keeps its rows and, where `then` says so, is broken off."""

    def given():
        yield from rows
        if then == "broken off":
            raise KeyboardInterrupt

    try:
        measured.keep(path, benchmark, command, {}, given())
    except KeyboardInterrupt:
        assert then == "broken off"


def test_a_benchmark_goes_on_with_the_methods_that_are_missing_and_past_one_that_fails(tmp_path, monkeypatch):
    m = script.Measurement(options(tmp_path, "--try"))
    asked = []
    monkeypatch.setattr(script, "page", lambda runs: "")

    def call(command, folder, seconds, cache):
        methods = command[command.index("--methods") + 1 : command.index("--json")]
        asked.append(methods)
        failing = methods.index("msd") if "msd" in methods else len(methods)
        rows = [{"method": name} for name in methods[: failing + 1]]
        told = " ".join(["python -m", *command])
        broken_off(m.json, "train", told, rows, "broken off" if failing < len(methods) else "done")

    monkeypatch.setattr(script, "call", call)
    m._measure("train", ["nat", "msd", "sat"], ["--batch", "8"], script.Clock(1))
    assert asked == [["nat", "msd", "sat"], ["sat"]]
    m._measure("train", ["nat", "msd", "sat"], ["--batch", "8"], script.Clock(1))
    assert asked[2:] == [["msd"]]
    m._measure("train", ["nat"], ["--batch", "9"], script.Clock(1))
    assert asked[3:] == [["nat"]]
    m._measure("train", ["adv_l1"], ["--batch", "9"], script.Clock(0))
    assert len(asked) == 4


def test_a_command_is_stopped_as_by_ctrl_c_when_its_time_is_up(tmp_path, monkeypatch):
    program = (
        "import pathlib, time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pathlib.Path('saved').touch()\n"
    )
    (tmp_path / "slow.py").write_text(program)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    started = time.monotonic()
    assert not script.call(["slow"], tmp_path, 2, tmp_path)
    assert (tmp_path / "saved").exists() and time.monotonic() - started < script.GRACE
    assert not script.call(["slow"], tmp_path, 0, tmp_path)


def test_a_phase_that_others_follow_gets_its_share_and_the_last_all_that_is_left(tmp_path, monkeypatch):
    m, got = script.Measurement(options(tmp_path, "--minutes", "10", "--phases", "train", "check")), {}
    for phase in script.SHARES:
        monkeypatch.setattr(m, phase, lambda clock, phase=phase: got.update({phase: clock.left()}))
    m.run()
    assert list(got) == ["check", "train"]
    assert got["check"] == pytest.approx(120, abs=5) and got["train"] == pytest.approx(600, abs=5)


ABOUT = {"cpu": "a processor", "cores": 2, "torch": "2", "python": "3", "commit": "abc", "date": "today"}
CARD = {"gpu": "a card", "gpu_memory_gb": 80.0, "cuda": "13.0"}


def test_a_page_of_records_says_n_seed_radii_machine_and_who_is_missing(tmp_path):
    attack = {"radius": "8/255", "rejected": 0, "forwards": 1, "correct": "1100"}
    record = {
        "schema": 1, "dataset": "d", "split": "test", "method": "sat", "seed": 0, "suite": "aa2", "profile": "standard",
        "n": 4, "indices": [0, 1, 2, 3], "clean": "1110",
        "attacks": [{"name": norm, "norm": norm, **attack} for norm in ("linf", "l1", "l2")],
        "flags": ["something odd"], "provenance": {},
        "timing": {"training": {"seconds": 1234.5, "images_per_second": 99.6, "epochs": 30, "model": "wrn_10_1"}},
    }  # fmt: skip
    path = tmp_path / "records" / "d" / "sat" / "seed0" / "aa2-standard.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    text = records_page(tmp_path, "Results", ABOUT | CARD, ["msd"])
    for part in ("75.0 (30.1 to 95.4)", "50.0 (15.0 to 85.0)", "1,234", "a card (80.0 GB, CUDA 13.0)", "commit abc"):
        assert part in text
    for part in ("linf 8/255, l1 8/255", "first 4 images of test", "Not evaluated yet: msd", "sat: something odd"):
        assert part in text


def test_a_page_without_records_says_so(tmp_path):
    assert "No method is evaluated yet" in records_page(tmp_path, "Results", ABOUT)


@pytest.mark.slow
def test_trying_it_leaves_a_page_of_every_phase(tmp_path):
    archive = pack(write_tree(tmp_path / "images", train=200, test=20, size=32), tmp_path / "images.tar.xz")
    out = tmp_path / "out"
    out.mkdir()
    command = ["benchmarks.measure_cifar10", "--archive", str(archive), "--out", str(out), "--try", "--suite", "quick"]
    assert script.call([*command, "--methods", "nat", "--minutes", "5", "--phases", "train"], ROOT, 300, out)
    assert "| nat " in (out / "results.md").read_text() and (out / "records.tar.gz").exists()
