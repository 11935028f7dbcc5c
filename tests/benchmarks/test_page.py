"""The page of measurements: every table from its JSON, with command, turns, seed, machine and versions."""

import inspect
import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import measured
from benchmarks.attacks import elsewhere, exchanged
from benchmarks.convolutions import Recorder
from benchmarks.settings import Settings
from benchmarks.training import rows
from benchmarks.turns import Spread, ratio
from mngac.models.files import Architecture
from mngac.models.folded import folded
from mngac.params.checks import load
from mngac.params.sections import AttackConfig, Suite

SPREAD = {"median": 2.0, "low": 1.5, "high": 2.5}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "measured.json"


def test_a_benchmark_adds_its_rows_to_the_file_and_the_page_shows_them(file, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.training.peak_bytes", lambda *_: 5_000_000)
    monkeypatch.setattr("benchmarks.convolutions.LEAST_SECONDS", 0.0)
    small = [
        "--model",
        "wrn_10_1",
        "--batch",
        "2",
        "--image-size",
        "8",
        "--turns",
        "2",
        "--attack-steps",
        "1",
        "1",
        "1",
    ]
    assert command.main([*small, "--methods", "nat", "sat", "--json", str(file)]) == 0
    (run,) = measured.read(file)
    assert [(row["method"], row["norm"]) for row in run.rows] == [
        ("nat", ""), ("sat", "linf"), ("sat", "l1"), ("sat", "l2"), ("sat", "mean"),
    ]  # fmt: skip
    assert run.rows[1]["forward_equivalents"] == pytest.approx(5, abs=0.1)
    capsys.readouterr()
    assert command.main(["page", str(file)]) == 0
    text = capsys.readouterr().out
    for part in ("sat l1", "2 turns, seed 0", run.machine["torch"], run.machine["commit"], f"{' '.join(small)}"):
        assert part in text


def test_each_side_runs_under_its_own_malloc_setting_and_the_plain_one_under_ours_too(monkeypatch):
    monkeypatch.setattr("benchmarks.training.peak_bytes", lambda *_: 5_000_000)
    monkeypatch.setattr("benchmarks.convolutions.LEAST_SECONDS", 0.0)
    set_to = []
    for name, what in {"keep_freed_memory": "kept", "keep_as_glibc_does": "default"}.items():
        monkeypatch.setattr(f"benchmarks.memory.{name}", lambda what=what: set_to.append(what) or True)
    (row,) = rows(Settings(model="wrn_10_1", batch=2, image_size=8, turns=2), ["nat"])
    assert row["ratio_same_allocator"]["median"] > 0
    assert set_to[1:10] == ["default", "kept", "kept"] * 3


def test_every_kind_of_run_has_its_table(file, capsys):
    sides = {"ours": 50.0, "pyautoattack": 51.0}
    seconds = {"turns": 3, "n": 20, "classifier": "untrained"}
    kinds = {
        "loading": {"what": "crops", "ours_images_per_second": SPREAD, "dataloader_images_per_second": SPREAD}
        | {"ratio": SPREAD},
        "evaluation": {"suite": "quick", "seconds": SPREAD, "images_per_second": 10.0, "passes_an_image": 7.0}
        | {"robust_percent": {"linf": 50.0}, **seconds},
        "attacks": {
            "norm": "l1",
            "ours_seconds": SPREAD,
            "pyautoattack_seconds": SPREAD,
            "ratio": SPREAD,
            "ratio_here": SPREAD,
        }
        | {"robust_percent": sides, **seconds},
        "start": {"what": "import torch", "seconds": SPREAD, "of_import_torch": SPREAD},
    }
    for name, row in kinds.items():
        measured.keep(file, name, f"python -m benchmarks {name}", {"turns": 3}, [row])
    assert len(json.loads(file.read_text())["runs"]) == 4
    assert command.main(["page", str(file)]) == 0
    text = capsys.readouterr().out
    for part in ("2.00 (1.50 to 2.50)", "ours 50.0, pyautoattack 51.0", "python -m benchmarks start", "linf 50.0"):
        assert part in text


def test_a_method_that_is_not_known_is_refused_in_one_line(capsys):
    assert command.main(["--methods", "nothing"]) == 2
    assert "allowed: nat, " in capsys.readouterr().err


def test_a_run_that_is_broken_off_has_kept_its_rows(file):
    def broken():
        yield {"what": "first"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measured.keep(file, "start", "", {}, broken())
    assert [run.rows for run in measured.read(file)] == [[{"what": "first"}]]


def test_pyautoattack_gets_the_steps_starts_and_targets_of_our_attacks():
    theirs = [exchanged(attack) for attack in load().evaluation["quick"].attacks]
    assert [(a.attack, a.steps, a.restarts) for a in theirs[4:]] == [("apgd_ce", 20, 20), ("apgd_t", 20, 1)]
    assert theirs[5].targets == 5


def test_a_suites_attacks_are_compared_norm_by_norm_and_as_a_whole(file, monkeypatch):
    attacks = [dict(attack="batched_apgd_ce", norm=norm, steps=2, restarts=2) for norm in ("linf", "l2")]
    small = Suite(attacks=[AttackConfig(**entry) for entry in attacks], batch_size=8, n=None, seed=0)
    given = SimpleNamespace(evaluation={"quick": small}, radii_for=load().radii_for)
    for module in ("attacks", "subjects"):
        monkeypatch.setattr(f"benchmarks.{module}.load", lambda: given)
    assert command.main(["attacks", "--n", "4", "--turns", "2", "--json", str(file)]) == 0
    linf, l2, whole = measured.read(file)[0].rows
    assert (linf["norm"], l2["norm"], whole["norm"], whole["n"]) == ("linf", "l2", "all", 4)
    for side in ("ours", "pyautoattack", "pyautoattack here"):
        assert whole["robust_percent"][side] <= min(row["robust_percent"][side] for row in (linf, l2))


def test_elsewhere_a_classifier_is_contiguous_and_nothing_of_it_is_folded():
    torch.manual_seed(0)
    net = Architecture("wrn_10_1", 10, 3, 32).build().eval()
    x = torch.rand(2, 3, 32, 32)
    plain = elsewhere(net)
    assert folded(net, x) is not None and folded(plain, x) is None
    assert all(weight.is_contiguous() for weight in inspect.getclosurevars(plain).nonlocals["copied"].parameters())
    assert not all(weight.is_contiguous() for weight in net.parameters())
    torch.testing.assert_close(plain(x), net(x), rtol=1e-3, atol=1e-4)


def test_a_suite_of_other_attacks_has_nothing_to_be_compared_with(capsys):
    assert command.main(["attacks", "--n", "4", "--suite", "apgd"]) == 2
    assert "allowed: a suite of batched_apgd_ce and batched_apgd_t" in capsys.readouterr().err


def test_a_ratio_is_that_of_each_turn():
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 2.0]) == Spread(2.0, 1.5, 2.0)


def test_nothing_is_recorded_of_an_empty_block_and_no_method_gives_no_row():
    assert Recorder().total == 0 and list(rows(Settings(), [])) == []
