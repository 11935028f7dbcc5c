"""`mngac plan`: hours from measured throughput or a data sheet, sums, and a page that says what it rests on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, environment, raw_params, small, write_params
from safetensors.numpy import save_file

from mngac.cli import main
from mngac.methods.soup import shares_in_steps
from mngac.params.checks import parse
from mngac.params.errors import ParamsError, UserError
from mngac.params.overlay import whole
from mngac.planning.attacks import at_most
from mngac.planning.cards import Choice, choice_of, sheets, speed
from mngac.planning.images import Images, foretold, read
from mngac.planning.page import text
from mngac.planning.plan import plan
from mngac.planning.standing import ASSUMED
from mngac.results.printed import WIDE
from mngac.results.records import Record

CHOICE = Choice("h200", 0.3, 1, None)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the project's params.yaml, params/ and nothing made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "params").symlink_to(ROOT / "params")
    return tmp_path


def printed(capsys, *arguments):
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def cells(page, row):
    """The cells of a row of the table of stages."""
    return next(line for line in page.splitlines() if line.startswith(row)).split()[1:]


def test_what_certificates_take_is_said_to_be_not_known(project, capsys):
    page = printed(capsys, "--params", "params/certificates.yaml", "--card", "cpu")
    assert cells(page, "certify")[0] == "14" and cells(page, "certified_table")[0] == "1"
    assert "not known, and in no sum: what 14 jobs take, for certificates, by auto_LiRPA" in page


# ---------------------------------------------------------------- the paper's run


def test_the_papers_run_is_foretold_without_torch_in_100_columns(project):
    code = (
        "import sys; from mngac.cli import main; main(['plan', '--params', 'params/paper.yaml']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *page, modules = done.stdout.splitlines()
    assert "torch" not in modules.split() and "mngac.planning.page" in modules.split()
    assert max(map(len, page)) <= WIDE and page[0].startswith("params/paper.yaml over params.yaml: 3 data sets, 13 met")


def test_its_jobs_are_all_there(project, capsys):
    page = printed(capsys, "--params", "params/paper.yaml")
    trainings, semi, seeds, datasets = 11, 2, 3, 3
    assert cells(page, "train ")[:3] == [str(trainings * seeds * datasets), "0", "99"]
    assert cells(page, "train_semi")[0] == str(semi * seeds * datasets)
    assert cells(page, "evaluate ")[0] == str((trainings + semi) * seeds * datasets * 2)
    assert cells(page, "evaluate_shard")[0] == str((trainings + semi) * seeds * datasets * 10)


def test_specialists_cost_what_those_they_are_like_cost(project, capsys):
    """Radii of its own change no step of a training, and every row is evaluated in every ball."""
    page = printed(capsys, "--params", "params/competitiveness.yaml", "--jobs")
    assert [cells(page, stage)[0] for stage in ("train ", "evaluate ", "competitiveness ")] == ["18", "60", "1"]
    for norm in ("linf", "l1", "l2"):
        like, *own = (cells(page, f"digits-adv_{norm}{end}-0 ") for end in ("", "_half", "_three_halves"))
        assert own == [like, like]


def test_every_assumption_stands_on_the_page(project, capsys):
    page = " ".join(printed(capsys, "--params", "params/paper.yaml", "--utilisation", "0.2", "--price", "4").split())
    for said in (
        "20% of the 989 TFLOP/s in bfloat16",
        "20% of the 495 TFLOP/s in tf32",
        "assumed, nothing is measured",
    ):
        assert said in page
    assert f"{ASSUMED:.0%} of their passes are assumed" in page and "at 4 for 1 h200 and hour" in page


def test_every_job_can_be_listed_within_100_columns(project, capsys):
    page = printed(capsys, "--params", "params/paper.yaml", "--jobs")
    rows = [
        line for line in page.splitlines() if " to make " in line and line.startswith(("cifar10-", "svhn-", "tiny_"))
    ]
    assert len(rows) == 99 + 9 + 18 + 1170 + 234 and max(map(len, page.splitlines())) <= WIDE


def test_shards_share_the_work_of_their_evaluation_and_nothing_is_paid_twice(project):
    """On svhn, whose 26,032 images are 27 blocks of 1,000: three a shard for some, two for others."""
    shared = whole("params/paper.yaml")
    suite = shared.evaluation["autoattack"].model_copy(update={"block": None, "shards": 1})
    alone = shared.model_copy(update={"evaluation": {**shared.evaluation, "autoattack": suite}})

    def works(params, stage):
        return [
            line.work
            for line in plan(params, CHOICE).lines
            if line.found.job.stage.name == stage and line.found.job.name.startswith("svhn-nat-0-autoattack")
        ]

    (one,), shards = works(alone, "evaluate"), works(shared, "evaluate_shard")
    assert len(shards) == 10 and sum(work.flops for work in shards) == pytest.approx(one.flops)
    assert sum(work.most for work in shards) == pytest.approx(one.most)
    assert max(work.flops for work in shards) == pytest.approx(one.flops * 3_000 / 26_032)
    (rest,) = works(shared, "evaluate")
    assert rest.flops == rest.most == 26_032 * one.forward


# ---------------------------------------------------------------- hours


def test_hours_are_operations_over_speed_and_cards_share_them(project):
    params = whole("params/paper.yaml")
    one, eight = (plan(params, Choice("h200", 0.3, count, None)) for count in (1, 8))
    hours = sum(line.work.flops / (0.3e12 * (989 if "train" in line.found.job.stage.name else 495)) / 3600
                for line in one.lines if line.work)  # fmt: skip
    assert one.hours(one.lines) == pytest.approx(hours) == one.clock()
    assert eight.clock() == pytest.approx(hours / 8)
    many = plan(params, Choice("h200", 0.3, 10**5, None))
    longest = max(line.work.flops for line in one.lines if line.found.job.stage.name == "train_semi")
    assert many.clock() == many.longest_chain() > longest / 0.3 / 989e12 / 3600


def test_a_faster_card_and_a_higher_utilisation_take_fewer_hours(project):
    params = whole("params/paper.yaml")
    hours = [
        (found := plan(params, Choice(card, share, 1, None))).hours(found.lines)
        for card, share in (("a100", 0.3), ("h100", 0.3), ("h100", 0.6))
    ]
    assert hours[0] > hours[1] == pytest.approx(2 * hours[2])


def measured(folder, **changes):
    """A measurements.json with one training step of 300,000 GFLOP/s in bfloat16 on an H200."""
    machine = {"cpu": "x", "threads": 1, "gpu": "NVIDIA H200", **changes}
    row = {"computed_in": "bfloat16 channels_last", "norm": "", "gflops_per_second": 3e5}
    run = {"benchmark": "train", "machine": machine, "settings": {"model": "wrn_28_10"}, "rows": [row]}
    path = folder / "measurements.json"
    path.write_text(json.dumps({"schema": 1, "runs": [run]}))
    return path


def test_what_was_measured_on_a_card_goes_before_its_data_sheet(tmp_path):
    path = measured(tmp_path)
    found = speed("h200", "bfloat16", 0.3, path)
    assert found.flops == 3e14 and "measured on NVIDIA H200, wrn_28_10" in found.source
    assert speed("a100", "bfloat16", 0.3, path).flops == pytest.approx(0.3 * 312e12)
    assert speed("h200", "tf32", 0.3, path).flops == pytest.approx(0.3 * 495e12)
    assert speed("cpu", "bfloat16", 0.3, path) is None


def test_of_a_cpu_only_measurements_are_believed(tmp_path):
    path = measured(tmp_path, gpu=None)
    assert speed("cpu", "bfloat16", 0.3, path).flops == 3e14
    assert speed("cpu", "bfloat16", 0.3, measured(tmp_path, gpu=None, threads=8)) is None
    assert speed("h200", "bfloat16", 0.3, tmp_path / "none.json").flops == pytest.approx(0.3 * 989e12)


def test_the_page_of_measurements_gives_a_core_its_speed():
    assert 1e10 < speed("cpu", "float32", 0.3).flops < speed("cpu", "bfloat16", 0.3).flops < 1e13


def test_the_card_follows_the_runs_device_unless_it_is_named():
    assert choice_of("cuda", None, 0.3, 1, None).card == "h200" and choice_of("cpu", None, 0.3, 1, None).card == "cpu"
    assert choice_of("cpu", "a100", 0.3, 1, None).card == "a100"
    with pytest.raises(ParamsError, match=r'^--card: found "h20"; allowed: .*h200'):
        choice_of("cpu", "h20", 0.3, 1, None)


def test_every_card_has_a_sheet_that_is_whole():
    for sheet in sheets().values():
        assert set(sheet) == {"name", "bfloat16", "tf32", "float32", "memory", "source"}
        assert sheet["bfloat16"] > sheet["tf32"] >= sheet["float32"] > 0


# ---------------------------------------------------------------- images


def test_images_are_foretold_as_the_data_stage_divides_them():
    data = parse(raw_params()).data
    assert foretold(data["cifar10"]) == Images(45_000, 1_000, 4_000, 10_000, 3, 32, 10)
    assert foretold(data["svhn"]) == Images(71_792, 1_465, 531_131, 26_032, 3, 32, 10)
    assert foretold(data["tiny_imagenet"]) == Images(90_000, 2_000, 8_000, 10_000, 3, 64, 200)
    assert foretold(data["cifar10_quick"]) == Images(2_000, 200, 1_000, 200, 3, 32, 10)


def test_of_ones_own_images_nothing_is_guessed():
    digits = parse(raw_params()).data["digits"]
    assert foretold(digits.model_copy(update={"loader": "folder", "source": "birds"})) is None
    assert foretold(digits.model_copy(update={"unlabelled": "birds.npy"})) is None


def tensor_file(path, shape=(2, 1, 8, 8), metadata=None):
    tensors = {f"{split}.images": np.zeros(shape, np.uint8) for split in ("train", "validation", "unlabelled", "test")}
    save_file(tensors, path, metadata=metadata or {"mngac": json.dumps({"classes": ["a", "b", "c"]})})


def test_images_are_read_from_the_header_of_a_tensor_file(tmp_path):
    tensor_file(tmp_path / "data")
    assert read(tmp_path / "data") == Images(2, 2, 2, 2, 1, 8, 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no tensors"),
        lambda path: path.mkdir(),
        lambda path: tensor_file(path, shape=(2,)),
        lambda path: tensor_file(path, metadata={"mngac": "{}"}),
        lambda path: tensor_file(path, metadata={"mngac": '{"classes": 3}'}),
        lambda path: tensor_file(path, metadata={"other": ""}),
        lambda path: save_file({"x": np.zeros(1)}, path, metadata={"mngac": '{"classes": []}'}),
    ],
)
def test_another_file_in_its_place_is_refused_in_one_line(tmp_path, spoil):
    spoil(tmp_path / "data")
    with pytest.raises(UserError, match="data: no tensor file of a data set; delete it and run the data stage again"):
        read(tmp_path / "data")


# ---------------------------------------------------------------- what is not known, what records know


def test_jobs_of_ones_own_model_are_counted_without_cost(project, capsys):
    (project / "mine.py").write_text("def build(classes, channels, size): ...\n")
    raw = small(methods=("nat", "adv_linf"))
    raw["training"]["digits"]["model"] = "mine:build"
    write_params(project, raw)
    sys.path.insert(0, str(project))
    try:
        page = printed(capsys)
    finally:
        sys.path.remove(str(project))
    assert cells(page, "train ") == ["2", "0", "2", "0", *"––––"]
    assert "not known, and in no sum: what 4 jobs take, for the model mine:build" in page


def record(params, forwards):
    """A record of the run's only evaluation, whose attacks took so many passes an image."""
    suite = params.evaluation["apgd"]
    attacks = [
        {"name": a.attack, "norm": a.norm, "radius": "0.1", "correct": "1" * 4, "rejected": 0, "forwards": 4 * forwards}
        for a in suite.attacks
    ]
    who = {"dataset": "digits", "split": "test", "method": "nat", "seed": 0, "suite": "apgd", "profile": "standard"}
    about = {"params": {"suite": suite.model_dump(exclude_none=True)}}
    more = {"indices": [0, 1, 2, 3], "clean": "1111", "flags": [], "timing": {}, "provenance": about}
    return Record.model_validate({"schema": 1, "n": 4, **who, "attacks": attacks, **more})


def test_records_of_the_suite_say_how_much_attacks_take(project):
    params = parse(small(methods=("nat",)))
    assumed = plan(params, CHOICE)
    path = Path("records/digits/nat/seed0/apgd-standard.json")
    path.parent.mkdir(parents=True)
    path.write_text(record(params, forwards=3).to_json())
    known = plan(params, CHOICE)
    (before,), (after,) = ([x for x in p.lines if x.found.job.stage.name == "evaluate"] for p in (assumed, known))
    most = 1 + params.evaluation["apgd"].attacks[0].steps + 1  # a pass before, and one at the start
    assert known.known.said["digits", "apgd"].shares == pytest.approx([3 / most, 3 / (most + 2), 3 / most])
    assert after.work.flops < before.work.flops < before.work.most == after.work.most
    assert "as in 1 records of the run (digits apgd)" in text(known, "x")


def test_records_of_a_suite_that_has_changed_say_nothing(project):
    raw = small(methods=("nat",))
    path = Path("records/digits/nat/seed0/apgd-standard.json")
    path.parent.mkdir(parents=True)
    path.write_text(record(parse(raw), forwards=3).to_json())
    raw["evaluation"]["apgd"]["attacks"][0]["steps"] = 6
    assert plan(parse(raw), CHOICE).known.said["digits", "apgd"].records == 0


# ---------------------------------------------------------------- the command


def test_the_command_ends_with_what_is_left(project):
    write_params(project, small(methods=("nat",)))
    done = subprocess.run(
        [sys.executable, "-m", "mngac", "plan", "--gpus", "2"],
        env={**environment(project), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "by the clock on 2 cores" in done.stdout and not done.stderr
    assert sorted(path.name for path in project.iterdir()) == ["params", "params.yaml"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--card", "h20"], '--card: found "h20"; allowed: h200'),
        (["--gpus", "0"], '--gpus: found "0"; allowed: a whole number from 1'),
        (["--gpus", "1.5"], '--gpus: found "1.5"; allowed: a whole number from 1'),
        (["--utilisation", "0"], '--utilisation: found "0"; allowed: a share above 0, up to 1'),
        (["--price", "-1e"], "--price: expected one argument"),
        (["--price", "nan"], '--price: found "nan"; allowed: a price, from 0'),
        (["--params", "no.yaml"], "no.yaml: not found"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(project, capsys, arguments, told):
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


# ---------------------------------------------------------------- challenged unions


def challenged(**changes):
    """One method's union, challenged; another crafts images, too."""
    raw = small(methods=("nat", "sat"), challenges=["apgd"])
    raw["challenge"] |= {"attack_seeds": 3, "opinions": ["pgd"], "transfer_steps": 7, **changes}
    raw["evaluation"]["pgd"]["n"] = 20
    return parse(raw)


def works(params, stage):
    return [line.work for line in plan(params, CHOICE).lines if line.found.job.stage.name == stage]


def test_a_challenge_takes_its_rounds_and_the_other_methods_images(project):
    params = challenged()
    work = works(params, "challenge")[0]
    suites = [params.evaluation[name].attacks for name in ("apgd", "apgd", "pgd")]
    passes = [at_most(attack, 10) for attacks in suites for attack in attacks]
    rounds = 20 * sum(1 + each.forward + each.backward for each in passes)
    clean, moved = 20 * 3, 20 * 3 * 1
    assert work.most / work.forward == rounds + clean + moved
    assert work.flops / work.forward == ASSUMED * (rounds + moved) + clean
    alone = works(challenged(attack_seeds=1, opinions=["apgd"]), "challenge")[0]
    assert alone.most / alone.forward == moved


def test_crafting_takes_a_gradient_a_step_in_each_norm(project):
    work = works(challenged(), "craft")[0]
    assert work.flops == work.most == 20 * 3 * (2 * 7 + 1) * work.forward


def test_a_challenge_by_ones_own_attack_is_not_known(project):
    (project / "mine.py").write_text("def attack(classifier, x, y, target, config): ...\n")
    raw = small(methods=("nat",), challenges=["apgd"])
    raw["challenge"]["opinions"] = ["own"]
    raw["evaluation"]["own"] = {**raw["evaluation"]["apgd"], "attacks": [{"attack": "mine:attack", "norm": "linf"}]}
    sys.path.insert(0, str(project))
    try:
        lines = plan(parse(raw), CHOICE).lines
    finally:
        sys.path.remove(str(project))
    assert [line.unknown for line in lines if line.found.job.stage.name == "challenge"] == ["the attack mine:attack"]


# ---------------------------------------------------------------- epochs that are compared


def test_comparing_epochs_takes_an_evaluation_on_validation_images_each_time(project):
    raw = small(methods=("nat",), epochs=5)
    last = works(parse(raw), "train")[0]
    raw["training"]["digits"]["select"] = {"epoch": "best", "suite": "apgd", "every": 2}
    best, looks = works(parse(raw), "train")[0], 3
    passes = [at_most(attack, 10) for attack in parse(raw).evaluation["apgd"].attacks]
    rounds = 20 * sum(1 + each.forward + each.backward for each in passes)
    forward = best.forward
    assert best.most - last.most == pytest.approx(looks * (20 + rounds) * forward)
    assert best.flops - last.flops == pytest.approx(looks * (20 + ASSUMED * rounds) * forward)
    assert best.counted == last.counted > 0


def test_a_soup_takes_an_evaluation_for_each_mixture(project):
    raw = small(methods=("nat",), tuned=[{"method": "soup", "start": "nat"}])
    raw["methods"]["soup"] |= {"suite": "apgd", "grid": 3}
    (soup,) = works(parse(raw), "train_tuned")
    passes = [at_most(attack, 10) for attack in parse(raw).evaluation["apgd"].attacks]
    rounds = 20 * sum(1 + each.forward + each.backward for each in passes)
    mixtures = len(shares_in_steps(3, 3))
    assert soup.most - soup.flops == pytest.approx(mixtures * (1 - ASSUMED) * rounds * soup.forward)


def test_what_is_fine_tuned_is_planned_after_its_start(project, capsys):
    params = "over: params.yaml\nrun: {methods: [adv_linf], semi_methods: [], teachers: [], tuned: [TUNED]}\n"
    Path("tuned.yaml").write_text(params.replace("TUNED", "{method: eat_ft, start: adv_linf}"))
    page = printed(capsys, "--params", "tuned.yaml", "--card", "cpu")
    assert [cells(page, stage)[0] for stage in ("train ", "train_tuned ", "evaluate ")] == ["1", "1", "2"]
