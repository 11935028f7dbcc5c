"""Catastrophic overfitting: a norm's robust accuracy that collapses within an epoch is seen, said and kept."""

import json
from pathlib import Path

import pytest
from helpers import small_params
from stopping import stopped_at

from mngac.pipeline.jobs import job
from mngac.results import records, tables
from mngac.results.red_flags import of_record
from mngac.training import trainer as training
from mngac.training.collapse import collapses


def line(epoch, clean, linf, l1=30.0, l2=50.0, images=200):
    """A log's line, in percent of so many images."""
    named = dict(clean=clean, linf=linf, l1=l1, l2=l2)
    return {"epoch": epoch, "validation_images": images, **{f"validation_{k}": v for k, v in named.items()}}


def test_a_norm_that_collapses_while_the_others_and_clean_stay_is_found_with_its_epoch():
    lines = [line(1, 60, 20), line(2, 80, 45), line(3, 85, 2.5), line(4, 86, 40)]
    assert collapses(lines) == [{"epoch": 3, "norm": "linf", "before": 45.0, "after": 2.5}]
    assert collapses(lines[:1]) == collapses([]) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (line(1, 80, 45), line(2, 80, 23)),  # not to less than half
        (line(1, 80, 9.5), line(2, 80, 0)),  # by less than 10 points
        (line(1, 80, 45), line(2, 39, 2)),  # clean falls likewise
        (line(1, 80, 43.75, images=16), line(2, 80, 18.75, images=16)),  # 7 of 16 images, then 3
        (line(1, 80, 2), line(2, 80, 45)),  # it rises
        (line(1, 80, 45), {**line(2, 80, 2), "replaced": True}),  # another classifier
    ],
)
def test_what_is_no_collapse_is_not_called_one(before, after):
    assert collapses([before, after]) == []


def test_more_images_tell_a_collapse_from_noise():
    few, many = (collapses([line(1, 80, 43.75, images=n), line(2, 80, 18.75, images=n)]) for n in (16, 160))
    assert few == [] and [found["norm"] for found in many] == ["linf"]


@pytest.fixture
def collapsing(tmp_path, monkeypatch):
    """A training of three epochs whose monitor sees l_1 collapse in the second, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    params = small_params(methods=("nat", "adv_linf"), epochs=3)
    job(params, "data", dataset="digits").run()
    seen = [line(0, 70, 40, l1=l1) for l1 in (60.0, 5.0, 4.0)]

    def look(classifier, images, attacks, steps, generators):
        epoch = sum(lines["validation_l1"] in (60.0, 5.0) for lines in looked[-1].progress.lines)
        return {name: value for name, value in seen[epoch].items() if name != "epoch"}

    looked, plain = [], training.Trainer.run

    def run(self):
        looked.append(self)
        plain(self)

    monkeypatch.setattr(training, "look", look)
    monkeypatch.setattr(training.Trainer, "run", run)
    return params


def trained(params, method="adv_linf"):
    made = job(params, "train", dataset="digits", method=method, seed="0")
    made.run()
    return json.loads(Path(made.outputs["train.json"]).read_text()), Path(made.log)


def evaluated(params, method):
    made = job(params, "evaluate", dataset="digits", method=method, seed="0", suite="apgd", profile="standard")
    made.run()
    return records.read(made.outputs["record"])


def test_a_training_warns_of_a_collapse_once_and_keeps_it_however_often_it_was_stopped(collapsing, monkeypatch):
    for epoch, step in ((1, 4), (2, 1), (2, 9)):
        with stopped_at(monkeypatch, epoch, step), pytest.raises(KeyboardInterrupt):
            trained(collapsing)
    summary, log = trained(collapsing)
    assert summary["collapses"] == [{"epoch": 2, "norm": "l1", "before": 60.0, "after": 5.0}]
    said = "robust accuracy in l1 fell from 60 to 5 % within epoch 2: catastrophic overfitting"
    assert log.read_text().count(said) == 1
    assert summary["attacked"] is True


def test_its_record_and_every_table_say_so(collapsing):
    made = {}
    for method in ("nat", "adv_linf"):
        trained(collapsing, method)
        made[method] = evaluated(collapsing, method)
    assert made["adv_linf"].training == {
        "attacked": True,
        "collapses": [{"epoch": 2, "norm": "l1", "before": 60.0, "after": 5.0}],
        "selected_epoch": 3,
        "additional_images": 0,
    }
    for record in made.values():
        assert not record.training.keys() & record.timing["training"].keys() and record.timing["training"]["flops"] > 0
    (section,) = tables.sections(collapsing, "all")
    flag = "catastrophic overfitting in epoch 2 of the training: robust accuracy in l1 fell from 60 % down to 5 %"
    assert section.caption.count(flag) == 1
    assert section.printed[0]["method"] == "nat †" and "†: trained without any attack." in section.caption


def test_a_training_without_attacks_has_nothing_to_overfit_to(collapsing):
    summary, log = trained(collapsing, "nat")
    assert (summary["attacked"], summary["collapses"]) == (False, [])
    assert "catastrophic" not in log.read_text()
    record = evaluated(collapsing, "nat")
    older = record.training | {"collapses": [{"epoch": 2, "norm": "l1", "before": 60.0, "after": 5.0}]}
    for attacked, flags in ((False, 0), (None, 1)):
        told = record.model_copy(
            update={"provenance": record.provenance | {"training": older | {"attacked": attacked}}}
        )
        assert len(of_record(told)) == len(of_record(record)) + flags
