"""A training whose numbers go wrong stops and says at which step; `mngac replay` goes there and writes nothing."""

import re
from pathlib import Path

import pytest
import torch
from helpers import entry, small, small_params, write_params
from stopping import stopped_at
from torch import nn

from mngac.cli import main
from mngac.data import store
from mngac.methods import adversarial, eat, mng_ac, natural, stochastic
from mngac.params.errors import UserError
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import job
from mngac.training.bad_steps import BadStepError, FirstBad
from mngac.training.checkpoints import Checkpoints
from mngac.training.passes import watched
from mngac.training.plan import Plan
from mngac.training.replay import Replay
from mngac.training.trainer import Trainer

BAD, STEPS = 12, 9
WHO = ["--dataset", "digits", "--method", "adv_linf", "--seed", "0"]


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Parameters of three epochs of nine steps, with the data made."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, small(methods=("adv_linf",), epochs=3))
    found = small_params(methods=("adv_linf",), epochs=3)
    job(found, "data", dataset="digits").run()
    return found


def trainer(params, method, folder, pseudo_labels=None, kind=Trainer):
    plan = Plan(params.training_for("digits"), params.radii_for("standard", "digits"), entry(method), 0)
    return kind(store.load("data/digits.safetensors"), plan, folder, pseudo_labels)


@pytest.fixture
def bad_loss(monkeypatch):
    """The loss of step 12 is infinite."""
    plain = adversarial.Method.loss

    def loss(self, classifier, batch, step):
        return plain(self, classifier, batch, step) * (torch.inf if step.number == BAD else 1)

    monkeypatch.setattr(adversarial.Method, "loss", loss)


def lose_weights(monkeypatch, number):
    """The gradients of a step are not numbers, and its loss is one."""
    plain = natural.Method.loss

    def loss(self, classifier, batch, step):
        nothing = sum((weight * 0).sum() for weight in classifier.parameters())
        return plain(self, classifier, batch, step) + (nothing.abs().sqrt() if step.number == number else 0)

    monkeypatch.setattr(natural.Method, "loss", loss)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint is due at every step."""
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)


def test_the_first_of_several_bad_losses_is_kept():
    first = FirstBad("cpu")
    first.note(0, torch.tensor(0.5))
    assert first.read([torch.ones(2)]) == (None, True)
    for number, loss in ((3, torch.inf), (4, 0.1), (5, torch.nan)):
        first.note(number, torch.tensor(loss))
    assert first.read([torch.ones(2), torch.tensor([1.0, torch.nan])]) == (3, False)


def test_a_training_stops_with_step_norm_and_images_of_the_first_bad_loss(params, tmp_path, bad_loss):
    made = trainer(params, "adv_linf", tmp_path / "work")
    with pytest.raises(BadStepError) as stop:
        made.run()
    said = re.fullmatch(
        r"step 12 \(epoch 2 of 3, step 4 of 9\): the first whose loss is not finite; norm linf; train images ([\d, ]+)",
        stop.value.in_full,
    )
    split = made.batches[0].split
    places = {int(index): place for place, index in enumerate(split.index)}
    images = [places[int(index)] for index in said[1].split(", ")]
    assert torch.equal(split.labels[images], made.batch(BAD).y)
    assert len(made.progress.lines) == 1


def test_weights_that_are_lost_in_the_last_step_stop_a_training_before_it_is_written(params, tmp_path, monkeypatch):
    lose_weights(monkeypatch, 3 * STEPS - 1)
    with pytest.raises(BadStepError, match=r"step 26 \(.*\): the weights are not finite after it; norm none; train"):
        trainer(params, "nat", tmp_path / "work").run()


def test_no_checkpoint_is_written_of_what_is_not_finite(params, tmp_path, bad_loss, often):
    for _ in range(2):  # the second starts at the step itself
        made = trainer(params, "adv_linf", tmp_path / "work")
        with pytest.raises(BadStepError, match="step 12 "):
            made.run()
        progress = made.checkpoints.read("cpu")["progress"]
        assert (progress["epoch"], progress["step"]) == (1, 3)


def test_no_checkpoint_is_written_of_what_a_method_keeps_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = small_params(methods=("ramp",))
    job(given, "data", dataset="digits").run()
    found = trainer(given, "ramp", tmp_path / "work")
    found._check()
    with torch.no_grad():
        found.method.natural["fc.weight"][0, 0] = float("nan")
    with pytest.raises(BadStepError, match="the weights are not finite"):
        found._check()


def test_pseudo_labelled_images_are_named_beside_the_labelled_ones(params, tmp_path):
    labels = store.load("data/digits.safetensors").split("unlabelled").labels
    made = trainer(params, "rst_linf", tmp_path / "work", labels)
    about = made.about(3)
    assert list(about) == ["step", "norm", "train images", "unlabelled images"]
    assert about["unlabelled images"].split(", ") == [str(index) for index in made.batches[1].sources(3)]


@pytest.mark.parametrize("method", ["sat", "sat_linf_l1", "mng_ac", "eat"])
def test_the_norm_that_a_method_drew_for_a_step_is_the_one_that_it_attacked(params, tmp_path, monkeypatch, method):
    made, attacked = trainer(params, method, tmp_path / "work"), []
    attack, apgd = type(made.method).attack, eat.apgd

    def noted(self, classifier, batch, step, norm, mode):
        attacked.append(norm)
        return attack(self, classifier, batch, step, norm, mode)

    def noted_apgd(classifier, x, y, norm, *others):
        attacked.append(norm)
        return apgd(classifier, x, y, norm, *others)

    for kind in (stochastic.Method, mng_ac.Method):
        monkeypatch.setattr(kind, "attack", noted)
    monkeypatch.setattr(eat, "apgd", noted_apgd)
    made.classifier.train()
    for number in range(6):
        made._step(number, 0.1)
    assert [made.about(number)["norm"] for number in range(6)] == attacked and len(set(attacked)) > 1


def test_a_stage_that_stops_so_says_how_to_look_and_keeps_nothing(params, capsys, bad_loss):
    assert main(["train", *WHO]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("mngac: digits-adv_linf-0: step 12 (epoch 2 of 3, step 4 of 9): the first whose loss ")
    assert said.endswith("; look into it with: mngac replay --dataset digits --method adv_linf --seed 0")
    logged = Path("logs/train/digits-adv_linf-0.log").read_text().splitlines()[-1]
    assert re.search(r": step 12 .* train images (\d+, ){63}\d+; look into it with: mngac replay", logged)
    assert not Path("trained").exists() and [e.name for e in Cache().entries()] == ["data digits"]


# ---------------------------------------------------------------- mngac replay


def everything(*folders):
    return {path: path.read_bytes() for folder in folders for path in Path(folder).rglob("*") if path.is_file()}


def replayed(capsys, *more, who=WHO):
    """What `mngac replay` prints, by the first words of each line, and says beside it."""
    capsys.readouterr()
    assert main(["replay", *who, *more]) == 0
    out, err = capsys.readouterr()
    return dict(line.split(": ", 1) for line in out.splitlines()), err


def test_it_finds_the_step_from_the_checkpoint_before_and_leaves_all_as_it_was(params, capsys, monkeypatch, bad_loss):
    with stopped_at(monkeypatch, 1, 1):
        assert main(["train", *WHO]) == 143
    assert main(["train", *WHO]) == 2
    said = Path("logs/train/digits-adv_linf-0.log").read_text().splitlines()[-1]
    assert capsys.readouterr().err.splitlines()[-1].endswith("look into it with: mngac replay " + " ".join(WHO))
    before = everything(".", Cache().root)
    found, err = replayed(capsys)
    assert everything(".", Cache().root) == before
    assert "train digits-adv_linf-0: resumes after epoch 1, step 1 of 9" in err
    assert found["step"] == "12 (epoch 2 of 3, step 4 of 9)" and found["norm"] == "linf"
    assert f"train images {found['train images']};" in said
    assert found["loss"] == "inf" and found["gradient norm"] == "nan"
    assert found["first not finite"] == "the step's loss"
    for name in ("largest |logit|", "weight norm"):
        assert 0 < float(re.match(r"[\d.]+", found[name])[0]) < 1e3


def test_it_finds_weights_that_are_lost_at_a_finite_loss(params, capsys, monkeypatch):
    write_params(Path(), small(methods=("nat",), epochs=3))
    lose_weights(monkeypatch, BAD)
    found, _ = replayed(capsys, who=[*WHO[:3], "nat", *WHO[4:]])
    assert found["step"].startswith("12 ") and float(found["loss"]) < 10
    assert found["first not finite"].startswith("gradient of classifier.")


@pytest.mark.parametrize("step", [7, 9, 20])
def test_a_step_that_is_asked_for_is_the_one_that_the_training_took(params, capsys, monkeypatch, step):
    """Before the checkpoint, and after it, in its epoch or in the next."""
    losses, plain = {}, Trainer._step

    def noted(self, number, rate):
        loss = plain(self, number, rate)
        losses.setdefault(number, []).append(loss.item())
        return loss

    monkeypatch.setattr(Trainer, "_step", noted)
    with stopped_at(monkeypatch, 0, STEPS):
        assert main(["train", *WHO]) == 143
    trainer(params, "adv_linf", Path("work")).run()
    found, err = replayed(capsys, "--step", str(step))
    assert ("starts again" in err) == (step < STEPS)
    *_, uninterrupted, again = losses[step]
    assert again == uninterrupted and found["loss"] == f"{again:.6g}"
    assert found["first not finite"] == "nothing"


def test_it_says_so_where_nothing_goes_wrong(params, capsys):
    assert replayed(capsys)[0] == {"steps 0 to 26": "losses and weights are finite"}


def test_it_follows_a_method_that_moves_weights_at_an_epochs_end(params, tmp_path, capsys, monkeypatch):
    def shrink(self, classifier, epoch):
        classifier.eval()
        with torch.no_grad():
            for weight in classifier.parameters():
                weight.mul_(0.5)

    monkeypatch.setattr(adversarial.Method, "after_epoch", shrink)
    made = trainer(params, "adv_linf", tmp_path / "work")
    with stopped_at(monkeypatch, 1, 2), pytest.raises(KeyboardInterrupt):
        made.run()
    norm = torch.stack([weight.norm() for weight in made.classifier.parameters()]).norm().item()
    found, _ = replayed(capsys, "--step", "11")
    assert float(found["weight norm"].split(",")[0]) == pytest.approx(norm, rel=1e-5)


WRONG = [
    (["--step", "27"], "--step: found 27; allowed: 0 to 26, the training's steps"),
    (["--step", "-1"], "--step: found -1; allowed: 0 to 26, the training's steps"),
    (["--method", "adv_linv"], '--method: found "adv_linv"; allowed: adv_linf'),
    (["--seed", "x"], '--seed: found "x"; allowed: an integer'),
]


@pytest.mark.parametrize(("change", "line"), WRONG)
def test_what_is_wrong_is_one_line(params, capsys, change, line):
    capsys.readouterr()
    assert main(["replay", *WHO, *change]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mngac: {line}") and said.count("\n") == 1


def test_missing_data_are_one_line(params, capsys):
    Path("data/digits.safetensors").unlink()
    capsys.readouterr()
    assert main(["replay", *WHO]) == 2
    assert capsys.readouterr().err.startswith("mngac: data/digits.safetensors: not found; it is made by an earlier")


def test_a_training_that_goes_on_is_left_alone(params, capsys):
    key = key_of(job(params, "train", dataset="digits", method="adv_linf", seed="0").key_parts())
    capsys.readouterr()
    with Cache().lease(key):
        assert main(["replay", *WHO]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mngac: train digits-adv_linf-0: held by process ") and said.count("\n") == 1


def test_the_module_whose_output_is_not_finite_first_is_named_with_its_pass():
    class Log(nn.Module):
        def forward(self, x):
            return x.log()

    net = nn.Sequential(nn.Identity(), nn.Sequential(Log(), nn.Identity()))
    with watched({"classifier": net}) as seen:
        net(torch.tensor([1.0, 2.0]))
        assert seen.first is None
        net(torch.tensor([-1.0, 2.0]))
        net(torch.tensor([torch.nan, 2.0]))
    assert (seen.first, seen.passes) == ("output of classifier.1.0, in pass 2", 3)
    assert seen.largest == pytest.approx(0.6931, abs=1e-4)
    with watched({"classifier": net}) as seen:
        net(torch.tensor([torch.nan, 2.0]))
    assert seen.first == "what classifier was given, in pass 1"
    net(torch.tensor([1.0, 2.0]))
    assert seen.passes == 1


def test_an_imported_classifier_has_no_steps(params, tmp_path, monkeypatch):
    monkeypatch.setattr(natural.Method, "trains", False)
    with pytest.raises(UserError, match="--method: found one that trains nothing"):
        list(trainer(params, "nat", tmp_path / "work", kind=Replay).told(None))
