"""A foreign classifier's verdict: normalisation, stated accuracy, functions that load their weights, the page."""

import shutil
from pathlib import Path

import pytest
import torch
from evaluation_helpers import record
from helpers import ROOT
from torch import nn

from mngac import cli
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.evaluation.loop import evaluate as attack
from mngac.exchange.readings import IMAGENET, stated_clean, usual_of
from mngac.models.normalised import Normalised
from mngac.params.checks import load
from mngac.report.verdict import lead, page
from mngac.results import challenges, records
from mngac.results.challenges import Challenge, Round
from mngac.results.records import AttackRecord

NET = """
import torch
from torch import nn

def flat(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))

def loaded(classes, channels, size):
    net = flat(classes, channels, size)
    net.load_state_dict(torch.load("net.pt", weights_only=True))
    return net
"""
MEAN, STD = 0.4, 0.25


def network(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with digits that somebody's net for normalised images has all right, and a module that builds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    Path("somebodys_net.py").write_text(NET)
    images = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = Normalised(network(), [MEAN], [STD])(to_unit(images)).argmax(1)
    parts = {name: store.Split(images.clone(), labels.clone(), torch.arange(30)) for name in store.SPLITS}
    store.save("data/digits.safetensors", parts, [str(c) for c in range(10)])
    torch.save(network().state_dict(), "net.pt")
    return tmp_path


def evaluate(*more: str) -> int:
    return cli.main(["evaluate", "--dataset", "digits", "--suite", "pgd", "--out", "r.json", *more])


OWN = ("--model", "somebodys_net:loaded")
AS_MADE = (*OWN, "--mean", str(MEAN), "--std", str(STD))


def test_a_function_that_loads_its_weights_needs_no_file_and_gets_what_it_is_normalised_by(project):
    assert evaluate(*AS_MADE) == 0
    made = records.read("r.json")
    assert made.method == "loaded" and made.share("clean") == 100
    data, params = store.load("data/digits.safetensors").split("test"), load()
    radii = params.radii_for("standard", "digits")
    by_hand = attack(Normalised(network(), [MEAN], [STD]), data.images, data.labels, params.evaluation["pgd"], radii)
    assert (made.clean, made.attacks) == (by_hand.clean, by_hand.attacks)


def test_a_file_is_normalised_alike(project):
    assert evaluate(*AS_MADE, "--out", "own.json") == 0
    assert evaluate("--checkpoint", "net.pt", "--model", "somebodys_net:flat", *AS_MADE[2:]) == 0
    assert records.read("r.json").attacks == records.read("own.json").attacks


def test_other_weights_another_normalisation_or_another_stated_accuracy_are_no_cache_hit(project, capsys):
    assert evaluate(*AS_MADE) == evaluate(*AS_MADE) == 0
    assert capsys.readouterr().err.count("cached, key") == 1
    assert evaluate(*OWN) == evaluate(*AS_MADE, "--stated-clean", "100") == 0
    assert capsys.readouterr().err.count("cached, key") == 0


def test_weights_that_changed_behind_a_function_are_seen(project, capsys):
    from mngac.exchange import files

    assert evaluate(*AS_MADE) == 0
    torch.save(network(seed=2).state_dict(), "net.pt")
    files._weights_of.cache_clear()  # of another process
    capsys.readouterr()
    assert evaluate(*AS_MADE) == 0
    assert "cached, key" not in capsys.readouterr().err
    assert records.read("r.json").share("clean") < 100


# ---------------------------------------------------------------- stated clean accuracy


def colours(reading):
    """A net of colour images, the images, and the labels that it gives them where it reads them in its way."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 10)).eval()
    images = (torch.rand(300, 3, 4, 4) * torch.tensor([80, 160, 255]).view(1, 3, 1, 1)).to(torch.uint8)
    with torch.no_grad():
        net[1].weight.mul_(4)  # so that it notices how it is given them
        return net, images, net(reading(to_unit(images))).argmax(1)


def normalised(mean, std):
    return lambda x: (x - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("reading", "named"),
    [
        (lambda x: 255 * x, "images in [0, 255]"),
        (lambda x: x.flip(1), "images in [0, 1] with channels in the order BGR"),
        (lambda x: 255 * x.flip(1), "images in [0, 255] with channels in the order BGR"),
        (normalised(*IMAGENET), "images normalised by ImageNet's mean and standard deviation"),
        (normalised([0.5], [0.5]), "images in [-1, 1]"),
    ],
    ids=["255", "BGR", "255 BGR", "ImageNet", "-1 to 1"],
)
def test_the_reading_that_explains_a_stated_accuracy_is_named(reading, named):
    net, images, labels = colours(reading)
    (flag,) = stated_clean(net, images, labels, 100, usual_of(images))
    assert flag.startswith("clean accuracy is stated as 100 %, measured as ")
    assert flag.endswith(f"the classifier seems to be made for {named}, which gives 100.0 %")


def test_the_data_sets_own_normalisation_is_tried_and_none_where_one_was_given():
    usual = usual_of(colours(lambda x: x)[1]).tolist()
    net, images, labels = colours(normalised(*usual))
    (flag,) = stated_clean(net, images, labels, 100, torch.tensor(usual))
    assert "images normalised by the data set's mean and standard deviation, which gives 100.0 %" in flag
    net, images, labels = colours(lambda x: x)
    (flag,) = stated_clean(Normalised(net, *usual), images, labels, 100, torch.tensor(usual))
    assert flag.endswith("made for images in [0, 1], which gives 100.0 %")


def test_a_stated_accuracy_within_the_interval_is_no_flag_and_one_that_nothing_explains_says_so():
    net, images, labels = colours(lambda x: x)
    labels[:30] = (labels[:30] + 1) % 10  # 270 of 300 right: 86.1 to 92.9 %
    assert stated_clean(net, images, labels, 92.9, usual_of(images)) == []
    assert stated_clean(net, images, labels, 86.1, usual_of(images)) == []
    (flag,) = stated_clean(net, images, labels, 93.5, usual_of(images))
    assert "measured as 90.0 % of 300 images (95 % interval 86.1 to 92.9): no other reading" in flag


# ---------------------------------------------------------------- the page


@pytest.fixture
def short(project):
    """Rounds that take no time: one further seed, and one weak suite."""
    text = Path("params.yaml").read_text()
    rounds = "attack_seeds: 5\n  opinions:\n  - autoattack\n"
    assert rounds in text
    Path("params.yaml").write_text(text.replace(rounds, "attack_seeds: 2\n  opinions:\n  - pgd\n"))


def test_the_page_says_what_the_record_and_the_challenge_say(short, capsys):
    command = (*OWN, "--suite", "quick", "--n", "20", "--stated-clean", "100", "--challenge", "--verdict", "v.html")
    assert evaluate(*command) == 0
    assert capsys.readouterr().out == "v.html\n"
    made, left = records.read("r.json"), challenges.read("r.challenge.json")
    assert [each.name for each in left.rounds] == ["quick, seed 1", "pgd, seed 0"]
    text = Path("v.html").read_text()
    for column in made.columns():
        assert f"<td>{made.share(column):.1f} %</td>" in text
    assert f"{sum(left.after(2))} of 20" in text
    assert "<b>clean accuracy is stated as 100 %, measured as " in text
    assert "What was evaluated is not what the stated number is of" in text
    assert "mngac evaluate --dataset digits" in text and "--verdict v.html" in text
    assert f"torch {made.provenance['versions']['torch']}" in text


def test_without_a_challenge_the_page_says_that_none_was_tried(project):
    assert evaluate(*AS_MADE, "--verdict", "v.html") == 0
    text = Path("v.html").read_text()
    assert "Not tried: --challenge" in text and "://" not in text and "<script" not in text


def test_the_page_says_that_no_held_out_images_were_tried(project):
    assert evaluate(*AS_MADE, "--verdict", "v.html") == 0
    assert "Not looked for" not in Path("v.html").read_text()
    data = store.load("data/digits.safetensors")
    nobody = store.Split(*(part[:0] for part in (data.split("test").images, *[data.split("test").labels] * 2)))
    store.save("data/digits.safetensors", {**data.splits, "validation": nobody}, data.classes)
    assert evaluate(*AS_MADE, "--verdict", "v.html") == 0
    said = (
        "Not looked for: whether images that the classifier has not seen withstand less; the data set has no validation"
    )
    assert said in Path("v.html").read_text()


def test_the_page_says_that_validation_images_leave_none_to_hold_out(project):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("  split: test\n", "  split: validation\n"))
    assert evaluate(*AS_MADE, "--verdict", "v.html") == 0
    assert "the images are the validation split&#x27;s, and no others are held out" in Path("v.html").read_text()


def test_a_challenge_writes_nothing_among_the_records(project, capsys):
    path = "records/digits/loaded/seed0/pgd-standard.json"
    assert evaluate(*AS_MADE, "--challenge", "--out", path) != 0
    said = f'--challenge: found --out "{path}"; allowed: a path outside records/, where records lie'
    assert said in capsys.readouterr().err
    assert not Path("records").exists()


@pytest.mark.parametrize(
    ("columns", "norms", "name"),
    [
        ({"pgd linf": "110."}, "l_inf", "l_inf"),
        ({"pgd linf": "110.", "pgd l2": "101."}, "l_inf, l_2", "every attack of l_inf, l_2"),
        ({"pgd linf": "110.", "pgd l2": "101.", "pgd_l1 l1": "111."}, "all three norms", "union"),
    ],
)
def test_the_bound_is_named_by_the_norms_that_were_attacked(columns, norms, name):
    made = record("1110", columns)
    plain, share = lead(made, None, []), f"{100 * sum(made.union()) / 4:.1f} %"
    assert f"At most {share} withstand all attacks of {norms}." in plain
    left = "".join("1" if stands else "0" for stands in made.union())
    broken = AttackRecord(
        name="square",
        norm="linf",
        radius="0.1",
        correct=left.replace("0", ".").replace("1", "0"),
        rejected=0,
        forwards=1,
    )
    again = Round(suite="black_box", attack_seed=0, attacks=[broken], blind=[True], flags=[])
    who = {key: getattr(made, key) for key in ("dataset", "split", "method", "seed", "suite", "profile", "n")}
    challenged = Challenge(
        **who,
        schema=1,
        attack_seed=0,
        norms=made.norms(),
        standing=left,
        rounds=[again],
        confirmation=[],
        timing={},
        provenance={},
    )
    assert f"At most 0.0 % withstand all attacks of {norms}." in lead(made, challenged, [])
    text = page(made, challenged, "mngac evaluate")
    assert f">{name}, challenged<" in text
    assert ("How tight the union is" in text) is (name == "union")
