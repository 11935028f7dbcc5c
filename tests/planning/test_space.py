"""Memory foretold: from 0.9 to 1.35 times what docs/measurements.json measured."""

import json

import pytest
from helpers import ROOT, entry, raw_params, small, small_params

from mngac.params.checks import parse
from mngac.pipeline.jobs import job
from mngac.planning import space
from mngac.planning.images import Images
from mngac.planning.standing import Known
from mngac.planning.work import Worker

RUNS = json.loads((ROOT / "docs/measurements.json").read_text())["runs"]
ROWS = [
    pytest.param(run["settings"], row, id=f"{row['method']}-{row['norm']}-{run['settings']['precision']}-{number}")
    for number, run in enumerate(RUNS)
    if run["benchmark"] == "train" and run["settings"]["device"] == "cpu"
    for row in run["rows"]
    if row["norm"] != "mean"
]
BEST = {"epoch": "best", "suite": "quick", "every": 1}


@pytest.mark.parametrize(("settings", "row"), ROWS)
def test_memory_is_from_0_9_to_1_35_times_what_was_measured(settings, row):
    raw = raw_params()
    raw["run"]["device"] = "cpu"
    raw["training"]["digits"] |= {
        "model": settings["model"],
        "batch_size": settings["batch"],
        "precision": {"cpu": settings["precision"]},
    }
    raw["methods"][row["method"]] = entry(row["method"]).model_dump(exclude_none=True)
    few = Images(64, 64, 0, 64, settings["channels"], settings["image_size"], settings["classes"])
    params = parse(raw)
    found = space.of(
        Worker(params, {"digits": few}, Known([]), "cpu"),
        job(params, "train", dataset="digits", method=row["method"], seed="0"),
    )
    assert 0.9 < found.memory / (1e6 * row["peak_mb"]["ours"]) < 1.35


def test_there_are_measurements_to_hold_it_to():
    assert {row.values[1]["method"] for row in ROWS} >= {"nat", "adv_linf", "mng_ac", "msd"}


def test_a_larger_batch_a_wider_model_and_more_views_take_more():
    def memory(method, **training):
        raw = raw_params()
        raw["training"]["digits"] |= training
        params = parse(raw)
        few = Images(64, 64, 0, 64, 1, 8, 10)
        worker = Worker(params, {"digits": few}, Known([]), "cpu")
        return space.of(worker, job(params, "train", dataset="digits", method=method, seed="0")).memory

    least = memory("nat")
    assert least < memory("trades_linf") < memory("mng_ac")
    assert least < memory("nat", batch_size=128) and least < memory("nat", model="wrn_10_2")
    assert least < memory("nat", average={"decay": 0.9}) < memory("nat", average={"decay": 0.9}, select=BEST)


def test_a_soup_takes_room_for_each_classifier_and_in_memory_for_its_start():
    raw = small(methods=("adv_l1",), tuned=[{"method": "soup", "start": "adv_l1"}])
    worker = Worker(parse(raw), {"digits": Images(64, 64, 0, 64, 1, 8, 10)}, Known([]), "cpu")
    stages = (("train", "adv_l1"), ("train_tuned", "soup"))
    one, soup = (space.of(worker, job(parse(raw), s, dataset="digits", method=m, seed="0")) for s, m in stages)
    assert soup.disk == 2 * one.disk and soup.checkpoints == 2 * one.checkpoints
    assert soup.memory == one.memory + 4 * one.disk  # weights, gradients and velocities of another, and the start


def test_stages_that_keep_little_are_not_counted():
    params = small_params()
    worker = Worker(params, {"digits": None}, Known([]), "cpu")
    assert space.of(worker, job(params, "report")) == space.Space()
