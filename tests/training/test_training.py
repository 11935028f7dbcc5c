"""Training: the schedule, resuming, determinism, one line an epoch, and no trace of how often it was stopped."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import Heard, entry, heeds_ctrl_c, small, small_params, workspace, write_params
from stopping import stopped_at

from mngac.cli import main
from mngac.data import store
from mngac.params.checks import parse
from mngac.params.errors import UserError
from mngac.params.training import Schedule
from mngac.pipeline.jobs import job
from mngac.pipeline.progress import Log
from mngac.pipeline.stopping import STATUS, Stopped
from mngac.training import checkpoints
from mngac.training import trainer as training
from mngac.training.plan import Plan, learning_rate
from mngac.training.trainer import Trainer


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    schedule = Schedule(peak=0.21, peak_epoch=12, drops=None)
    assert learning_rate(schedule, 0, 30) == 0
    assert learning_rate(schedule, 6, 30) == pytest.approx(0.105)
    assert learning_rate(schedule, 12, 30) == pytest.approx(0.21)
    assert learning_rate(schedule, 21, 30) == pytest.approx(0.105)
    assert learning_rate(schedule, 30, 30) == 0


def test_the_rate_is_a_tenth_after_each_drop():
    schedule = Schedule(peak=0.05, peak_epoch=0, drops=[1, 2])
    rates = [learning_rate(schedule, epoch, 3) for epoch in (0, 0.99, 1, 1.99, 2, 2.99)]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005])
    rising = Schedule(peak=0.2, peak_epoch=2, drops=[4])
    assert [learning_rate(rising, epoch, 6) for epoch in (1, 2, 3.9, 5)] == pytest.approx([0.1, 0.2, 0.2, 0.02])


def prepared(tmp_path, monkeypatch, **kwargs):
    """Parameters, with the data made, in a folder and cache of their own."""
    monkeypatch.chdir(tmp_path)
    params = small_params(**kwargs)
    job(params, "data", dataset="digits").run()
    return params


def train(params, method="mng_ac", stage="train"):
    j = job(params, stage, dataset="digits", method=method, seed="0")
    assert j.run() == "made"
    return {name: Path(path).read_bytes() for name, path in j.outputs.items()}


def without_timing(lines):
    return [{k: v for k, v in json.loads(line).items() if k != "timing"} for line in lines.splitlines()]


def test_two_trainings_with_one_seed_are_equal_bytes_and_two_seeds_are_not(tmp_path, monkeypatch):
    params = prepared(tmp_path, monkeypatch)
    first = train(params, "nat")
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    second = train(params, "nat")
    assert first["classifier.safetensors"] == second["classifier.safetensors"]
    assert without_timing(first["train.jsonl"]) == without_timing(second["train.jsonl"])
    j = job(params, "train", dataset="digits", method="nat", seed="1")
    j.run()
    assert Path(j.outputs["classifier.safetensors"]).read_bytes() != first["classifier.safetensors"]


@pytest.mark.slow
def test_a_training_does_not_import_the_compiler_that_it_does_not_use(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    write_params(tmp_path, small())
    program = (
        "import sys; from mngac.cli import main\n"
        "assert main('train --dataset digits --method mng_ac --seed 0'.split()) == 0\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def results(outputs):
    """What a training leaves, timing aside."""
    summary = json.loads(outputs["train.json"])
    timing = ("seconds", "process_seconds", "images_per_second")
    return {
        **outputs,
        "train.jsonl": without_timing(outputs["train.jsonl"]),
        "train.json": {key: value for key, value in summary.items() if key not in timing},
    }


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mng_ac", "eat", "sat_ac", "adv_max", "ramp"])
def test_a_training_resumed_at_any_step_equals_an_uninterrupted_one(tmp_path, monkeypatch, method):
    params = prepared(tmp_path, monkeypatch, methods=(method,), epochs=2)
    whole = train(params, method)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "other"))
    for epoch, step in ((0, 1), (0, 8), (0, 9), (1, 4)):
        said = (
            f"epoch {epoch} of 2, and step {step} of 9 of the next, is saved, and the same command resumes from there"
        )
        with stopped_at(monkeypatch, epoch, step), pytest.raises(KeyboardInterrupt, match=f"stopped; {said}") as stop:
            train(params, method)
        assert stop.value.status == 143
    assert results(train(params, method)) == results(whole)
    assert "resumes after epoch 1, step 4 of 9" in Path(f"logs/train/digits-{method}-0.log").read_text()


def dropping(classes, channels, size):
    """A classifier that draws random numbers of its own."""
    layers = torch.nn.Linear(channels * size**2, 8), torch.nn.Dropout(), torch.nn.Linear(8, classes)
    return torch.nn.Sequential(torch.nn.Flatten(), *layers)


def test_a_resumed_training_draws_the_numbers_that_a_model_of_the_users_would_have_drawn(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    data = store.load("data/digits.safetensors")
    own = replace(plan("nat", epochs=2), method=entry("nat", model=f"{__name__}:dropping"))
    whole = Trainer(data, own, tmp_path / "whole")
    whole.run()
    with stopped_at(monkeypatch, 1, 3), pytest.raises(KeyboardInterrupt):
        Trainer(data, own, tmp_path / "stopped").run()
    torch.manual_seed(9)
    resumed = Trainer(data, own, tmp_path / "stopped")
    resumed.run()
    assert resumed.progress.epoch == 2
    for name, weight in whole.classifier.state_dict().items():
        assert torch.equal(resumed.classifier.state_dict()[name], weight)
    for one, other in zip(resumed.optimizer.velocities, whole.optimizer.velocities, strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_changed_parameters_never_resume_another_run(tmp_path, monkeypatch):
    params = prepared(tmp_path, monkeypatch, epochs=2)
    raw = small(epochs=2)
    raw["methods"]["mng_ac"]["beta"] = 8
    changed, log = parse(raw), Path("logs/train/digits-mng_ac-0.log")
    with stopped_at(monkeypatch, 1, 1), pytest.raises(KeyboardInterrupt, match="epoch 1 of 2"):
        train(params)
    log.unlink()
    beside = train(changed)
    said = log.read_text()
    assert "resumes after" not in said and "epoch 1/2" in said and "epoch 2/2" in said
    train(params)
    assert "resumes after epoch 1" in log.read_text()
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "empty"))
    assert results(beside) == results(train(changed))


def test_a_log_line_an_epoch_has_clean_and_robust_accuracy_and_the_generators_state(tmp_path, monkeypatch):
    params = prepared(tmp_path, monkeypatch, epochs=2)
    outputs = train(params)
    lines = without_timing(outputs["train.jsonl"])
    assert [line["epoch"] for line in lines] == [1, 2]
    for line in lines:
        for name in ("clean", "linf", "l1", "l2"):
            assert 0 <= line[f"validation_{name}"] <= 100
        assert line["generator_angle"] > 0
    summary = json.loads(outputs["train.json"])
    steps = -(-539 // 64)
    assert summary["images_seen"] == 2 * steps * 64 and summary["seconds"] > 0


def test_only_mng_ac_leaves_a_generator(tmp_path, monkeypatch):
    from mngac import tensors

    params = prepared(tmp_path, monkeypatch)
    for method, count in (("nat", 0), ("mng_ac", 8)):
        train(params, method)
        assert len(tensors.read(f"trained/digits/{method}/seed0/generator.safetensors")[0]) == count


def test_half_of_a_semi_supervised_batch_is_pseudo_labelled(tmp_path, monkeypatch):
    params = prepared(tmp_path, monkeypatch, semi=("rst_linf",))
    train(params, "nat")
    assert job(params, "pseudo_label", dataset="digits", method="nat", seed="0").run() == "made"
    sizes = []
    batch = training.Trainer.batch

    def watched(self, step):
        sizes.append([source.batch_size for source in self.batches])
        assert len(self.batches[1].split) == 225
        return batch(self, step)

    monkeypatch.setattr(training.Trainer, "batch", watched)
    train(params, "rst_linf", "train_semi")
    assert sizes and all(pair == [32, 32] for pair in sizes)


def test_a_teacher_under_the_floor_stops_the_stage(tmp_path, monkeypatch):
    raw = small(semi=("rst_linf",))
    raw["pseudo_label"]["min_accuracy"] = 0.999
    monkeypatch.chdir(tmp_path)
    params = parse(raw)
    job(params, "data", dataset="digits").run()
    train(params, "nat")
    with pytest.raises(ValueError, match=r"validation accuracy is 0\.\d+ on 135 images, under .*0\.999"):
        job(params, "pseudo_label", dataset="digits", method="nat", seed="0").run()
    assert not Path("trained/digits/pseudo_labels").exists()


@pytest.mark.slow
def test_a_killed_training_resumes_and_ends_with_the_same_bytes(tmp_path):
    """kill -9 in the middle, with a checkpoint every step; then the same command again."""
    raw = small(methods=("adv_linf",), epochs=6)
    folder = workspace(tmp_path / "w", raw)
    file = folder / "mngac/training/checkpoints.py"
    often = re.sub("(LEAST_SECONDS|TIMES_WRITING) = .*", r"\1 = 0.0", file.read_text())
    file.write_text(often)
    command = [sys.executable, "-m", "mngac.cli", "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0"]

    def env(cache):
        return {**os.environ, "PYTHONPATH": str(folder), "MNGAC_CACHE": str(tmp_path / cache)}

    data = [*command[:3], "data", "--dataset", "digits"]
    subprocess.run(data, cwd=folder, env=env("a"), check=True, capture_output=True)
    log = folder / "logs/train/digits-adv_linf-0.log"
    killed = subprocess.Popen(command, cwd=folder, env=env("a"), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not log.exists() or "epoch 2/6" not in log.read_text()):
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    out = folder / "trained/digits/adv_linf/seed0/classifier.safetensors"
    assert not out.exists()
    subprocess.run(command, cwd=folder, env=env("a"), check=True, capture_output=True)
    assert "resumes after epoch" in log.read_text()
    resumed = out.read_bytes()
    subprocess.run(command, cwd=folder, env=env("b"), check=True, capture_output=True)
    assert out.read_bytes() == resumed


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_one_line_that_says_how_to_resume(tmp_path):
    folder = workspace(tmp_path / "w", small(methods=("adv_linf",), epochs=40))
    env = {**os.environ, "PYTHONPATH": str(folder), "MNGAC_CACHE": str(tmp_path / "a")}
    mngac = [sys.executable, "-m", "mngac.cli"]
    subprocess.run([*mngac, "data", "--dataset", "digits"], cwd=folder, env=env, check=True, capture_output=True)
    command = [*mngac, "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0"]
    listening = dict(cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    stopped = subprocess.Popen(command, preexec_fn=heeds_ctrl_c, **listening)
    while "epoch 2/40" not in stopped.stderr.readline():
        assert stopped.poll() is None
    stopped.send_signal(signal.SIGINT)
    *_, last = stopped.stderr.read().strip().splitlines()
    assert stopped.wait() == 130
    assert re.fullmatch(
        r"mngac: train digits-adv_linf-0: stopped; epoch \d+ of 40, and step \d of 9 of the next, is saved, "
        "and the same command resumes from there",
        last,
    )
    again = subprocess.Popen(command, **listening)
    assert "resumes after epoch" in again.stderr.readline()
    again.kill()
    again.communicate()


@pytest.mark.parametrize(("before", "threads"), [(1, 2), (2, 1)])
def test_threads_are_what_params_say(tmp_path, monkeypatch, before, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    params = prepared(tmp_path, monkeypatch, threads=threads)
    step, seen = training.Trainer._step, set()

    def watched(self, number, rate):
        seen.add(torch.get_num_threads())
        return step(self, number, rate)

    monkeypatch.setattr(training.Trainer, "_step", watched)
    try:
        torch.set_num_threads(before)
        train(params, "nat")
    finally:
        torch.set_num_threads(1)
    assert seen == {threads}


def plan(method, epochs=1, seed=0):
    """What the digits' small training is, without a job."""
    params = small_params(methods=("nat",), epochs=epochs)
    radii = params.radii_for("standard", "digits")
    return Plan(params.training_for("digits"), radii, entry(method), seed)


def test_a_training_needs_no_job_and_gives_the_jobs_bytes(tmp_path, monkeypatch):
    params = prepared(tmp_path, monkeypatch)
    by_job = train(params, "nat")
    trainer = Trainer(store.load("data/digits.safetensors"), plan("nat"), tmp_path / "work")
    trainer.run()
    outputs = {name: str(tmp_path / "mine" / name) for name in by_job}
    trainer.write(outputs)
    assert Path(outputs["classifier.safetensors"]).read_bytes() == by_job["classifier.safetensors"]
    assert without_timing(Path(outputs["train.jsonl"]).read_text()) == without_timing(by_job["train.jsonl"])


def test_after_each_epoch_the_method_is_told_before_the_monitor_looks(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    trainer = Trainer(store.load("data/digits.safetensors"), plan("nat", epochs=2), tmp_path / "work")
    told = []

    def average(classifier, epoch):
        told.append((epoch, trainer.progress.epoch, len(trainer.progress.lines)))
        with torch.no_grad():
            for weight in classifier.parameters():
                weight.zero_()

    monkeypatch.setattr(trainer.method, "after_epoch", average)
    trainer.run()
    assert told == [(0, 0, 0), (1, 1, 1)]
    assert trainer.progress.lines[0]["validation_clean"] == pytest.approx(10, abs=4)


def test_a_checkpoint_is_that_of_a_training_with_its_devices_precision_whatever_the_others_is():
    def identity(device, **precision):
        ours = plan("nat")
        stated = ours.training.precision.model_copy(update=precision)
        training = ours.training.model_copy(update={"precision": stated})
        return replace(ours, training=training, device=device).identity("digest", {}, {})

    for device, other in (("cpu", "cuda"), ("cuda", "cpu")):
        own = identity(device, cpu="float32", cuda="float32")
        assert own == identity(device, **{device: "float32", other: "bfloat16"})
        assert own != identity(device, **{device: "bfloat16", other: "float32"})


@pytest.mark.parametrize(("on", "biases"), [("all", 0), ("weights", 4)])
def test_weight_decay_is_on_what_training_says_of_classifier_and_generator(tmp_path, monkeypatch, on, biases):
    prepared(tmp_path, monkeypatch)
    ours = replace(plan("mng_ac"), training=plan("mng_ac").training.model_copy(update={"weight_decay_on": on}))
    trainer = Trainer(store.load("data/digits.safetensors"), ours, tmp_path / "work")
    _, undecayed = trainer.method.optimizer.groups
    assert len(undecayed) == biases
    kept = {
        name for k, (name, _) in enumerate(trainer.classifier.named_parameters()) if k in trainer.optimizer.groups[1]
    }
    expected = {name for name, weight in trainer.classifier.named_parameters() if weight.dim() == 1}
    assert kept == (expected if on == "weights" else set()) and {"fc.bias", "bn1.weight"} <= expected


def test_what_no_key_holds_is_no_part_of_whose_checkpoint_it_is():
    ours, suite = plan("nat"), small_params().evaluation["apgd"]
    labels = torch.zeros(3, dtype=torch.int64)
    for change in ({"processes": 2}, {"block": 10, "shards": 1}):
        other = replace(ours, selection=suite.model_copy(update=change))
        same = "block" not in change
        assert (other.identity("d", {}, {}) == replace(ours, selection=suite).identity("d", {}, {})) is same
    mixed = ours.training.semi.model_copy(update={"fraction": 0.3})
    other = replace(ours, training=ours.training.model_copy(update={"semi": mixed}))
    assert other.identity("d", {}, {}) == ours.identity("d", {}, {})
    assert ours.identity("d", {"classes": 3}, {}) != ours.identity("d", {"classes": 4}, {})
    assert replace(ours, code="a").identity("d", {}, {}) != replace(ours, code="b").identity("d", {}, {})
    assert other.identity("d", {}, {"unlabelled": labels}) != ours.identity("d", {}, {"unlabelled": labels})
    assert ours.identity("d", {}, {"additional": labels}) != ours.identity("d", {}, {"additional": labels + 1})


def test_the_checkpoint_of_another_training_is_refused(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    data, work = store.load("data/digits.safetensors"), tmp_path / "work"
    with stopped_at(monkeypatch, 1, 1), pytest.raises(KeyboardInterrupt):
        Trainer(data, plan("nat", epochs=2), work).run()
    with pytest.raises(UserError, match="found the checkpoint of another training; allowed: a folder of its own"):
        Trainer(data, plan("nat", epochs=2, seed=9), work).run()


def damaged(path, how):
    content = bytearray(path.read_bytes())
    if how == "a byte":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: len(content) // 2] if how == "cut" else b"" if how == "empty" else content)


@pytest.mark.parametrize("how", ["a byte", "cut", "empty"])
def test_a_damaged_checkpoint_is_left_out_for_the_one_before(tmp_path, monkeypatch, how):
    prepared(tmp_path, monkeypatch)
    data, work = store.load("data/digits.safetensors"), tmp_path / "work"
    whole = Trainer(data, plan("sat"), tmp_path / "whole")
    whole.run()
    for step in (3, 5):
        with stopped_at(monkeypatch, 0, step), pytest.raises(KeyboardInterrupt):
            Trainer(data, plan("sat"), work).run()
    damaged(work / "checkpoint", how)
    said = Heard()
    resumed = Trainer(data, plan("sat"), work, log=said)
    resumed.run()
    assert said.lines[0].endswith(f"{work / 'checkpoint'} is damaged and left out")
    assert said.lines[1].endswith("resumes after epoch 0, step 3 of 9")
    for name, weight in whole.classifier.state_dict().items():
        assert torch.equal(resumed.classifier.state_dict()[name], weight)


def test_of_two_damaged_checkpoints_none_is_taken(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    data, work = store.load("data/digits.safetensors"), tmp_path / "work"
    for step in (3, 5):
        with stopped_at(monkeypatch, 0, step), pytest.raises(KeyboardInterrupt):
            Trainer(data, plan("nat"), work).run()
    for name in ("checkpoint", "checkpoint.previous"):
        damaged(work / name, "a byte")
    said = Heard()
    Trainer(data, plan("nat"), work, log=said).run()
    assert sum("is damaged and left out" in line for line in said.lines) == 2
    assert not any("resumes" in line for line in said.lines)


def test_a_training_outlives_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch):
    prepared(tmp_path, monkeypatch)
    monkeypatch.setattr(checkpoints, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "TIMES_WRITING", 0.0)
    atomic, writes = checkpoints.atomic, []

    def full(path):
        writes.append(path)
        if len(writes) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return atomic(path)

    monkeypatch.setattr(checkpoints, "atomic", full)
    said = Heard()
    trainer = Trainer(store.load("data/digits.safetensors"), plan("nat"), tmp_path / "work", log=said)
    trainer.run()
    assert trainer.progress.epoch == 1 and len(writes) == 9
    assert [line for line in said.lines if "checkpoint" in line] == [
        f": no checkpoint could be written: {tmp_path / 'work/checkpoint'}: No space left on device; "
        "free space or choose another place, then run again"
    ]


def test_checkpoints_come_every_five_seconds_or_as_their_writing_takes(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    kept = checkpoints.Checkpoints(tmp_path, Log())
    now[0] = 5.0
    assert not kept.due()
    now[0] = 5.1
    assert kept.due()
    slow = torch.save
    monkeypatch.setattr(checkpoints.torch, "save", lambda *a: (slow(*a), now.__setitem__(0, now[0] + 1)))
    kept.write({})
    now[0] += 50
    assert not kept.due()
    now[0] += 0.1
    assert kept.due()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [("SIGTERM", 143), ("--stop-after", 75)])
def test_a_training_that_is_told_to_end_saves_its_step_and_goes_on_from_there(tmp_path, how, status):
    folder = workspace(tmp_path / "w", small(methods=("adv_linf",), epochs=4000))
    env = {**os.environ, "PYTHONPATH": str(folder), "MNGAC_CACHE": str(tmp_path / "a")}
    mngac = [sys.executable, "-m", "mngac.cli"]
    subprocess.run([*mngac, "data", "--dataset", "digits"], cwd=folder, env=env, check=True, capture_output=True)
    command = [*mngac, "train", "--dataset", "digits", "--method", "adv_linf", "--seed", "0"]
    options = ["--stop-after", "0.5"] if how == "--stop-after" else []
    listening = dict(cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    told = subprocess.Popen([*command, *options], **listening)
    if how == "SIGTERM":
        while "epoch 2/4000" not in told.stderr.readline():
            assert told.poll() is None
        told.terminate()
    *_, last = told.stderr.read().strip().splitlines()
    assert told.wait() == status
    word = {143: "stopped", 75: "to be continued"}[status]
    found = re.fullmatch(
        rf"mngac: train digits-adv_linf-0: {word}; epoch (\d+) of 4000, and step (\d) of 9 of the next, is saved, "
        "and the same command resumes from there",
        last,
    )
    assert found, last
    assert not list((tmp_path / "a/leases").glob("*.json")) and not (folder / "trained").exists()
    again = subprocess.Popen(command, **listening)
    assert f"resumes after epoch {found[1]}, step {found[2]} of 9" in again.stderr.readline()
    again.kill()
    again.communicate()


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_to_stop_after_is_a_positive_number(capsys, text):
    assert main(["train", "--dataset", "digits", "--method", "nat", "--seed", "0", f"--stop-after={text}"]) == 2
    assert f'--stop-after: found "{text}"; allowed: minutes, above 0' in capsys.readouterr().err


@pytest.mark.parametrize(("by", "said"), [(signal.SIGALRM, "to be continued"), (signal.SIGTERM, "stopped")])
def test_what_stops_before_a_stage_begins_says_so_too(tmp_path, monkeypatch, capsys, by, said):
    monkeypatch.chdir(tmp_path)

    def stopped(arguments):
        raise Stopped(by=by)

    monkeypatch.setattr("mngac.cli.run_stage", stopped)
    assert main(["train", "--dataset", "digits", "--method", "nat", "--seed", "0"]) == STATUS[by]
    assert capsys.readouterr().err == f"\nmngac: {said}; the same command starts it again\n"
