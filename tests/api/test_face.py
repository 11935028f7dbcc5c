"""What `import mngac` gives: its names, and what each of them does."""

import ast
import subprocess
import sys

import numpy as np
import pytest
import torch
from evaluation_helpers import digits, trained
from helpers import ROOT, run, small, workspace
from torch import nn

import mngac
from mngac.evaluation import loop
from mngac.norms import LP
from mngac.params.errors import UserError
from mngac.params.extras import missing
from mngac.params.shipped import is_checkout
from mngac.pipeline import fingerprint

RADII = {"linf": 0.1, "l1": 1.0, "l2": 0.4}
RECIPE = {"like": "digits", "epochs": 1, "schedule": {"peak": 0.1, "peak_epoch": 0.5}}


def stubbed():
    """Names of mngac/__init__.pyi."""
    tree = ast.parse((ROOT / "mngac/__init__.pyi").read_text())
    imported = [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return sorted([*imported, *(n.target.id for n in tree.body if isinstance(n, ast.AnnAssign))])


def test_the_stub_names_what_is_there_and_nothing_else():
    assert stubbed() == sorted(mngac.__all__) == dir(mngac)
    tree = ast.parse((ROOT / "mngac/__init__.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            [alias] = node.names
            there = getattr(__import__(node.module, fromlist=["x"]), alias.name)
            assert getattr(mngac, alias.asname) is there
    with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
        mngac.evalute  # noqa: B018


def test_the_package_is_imported_without_torch():
    code = "import mngac, sys; print(mngac.__version__, 'torch' in sys.modules, 'pydantic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == [mngac.__version__, "False", "False"]


def test_an_evaluation_is_the_loops_and_reads_as_a_table_a_frame_and_a_record(tmp_path):
    x, y = digits(30)
    result = mngac.evaluate(trained(), x, y, "pgd", radii=RADII)
    assert (result.clean, result.attacks) == (
        (own := loop.evaluate(trained(), x, y, "pgd", RADII)).clean,
        own.attacks,
    )
    lines = {line.split("|")[1].strip(): line for line in result.table().splitlines()}
    union = sum(result.union())
    assert f" {100 * union / 30:.1f} " in lines["union"] and f"{union} of 30" in lines["union"] and 0 < union < 30
    assert " 0.1 " in lines["linf"] and " 1.0 " in lines["l1"]
    frame = result.to_pandas()
    assert frame["union"].tolist() == result.union() and frame["l1"].tolist() == result.robust("l1")
    for attack in result.attacks:
        column = frame[f"{attack.name} {attack.norm}"].astype("Int8").astype("string").fillna(".")
        assert "".join(column) == attack.correct
    record = result.record("mine", "digits", seed=3, indices=np.arange(100, 130))
    (tmp_path / "record.json").write_text(record.to_json())
    read = mngac.read_record(tmp_path / "record.json")
    assert read == record and read.table() == result.table() and list(read.to_pandas().index) == list(range(100, 130))
    assert (read.suite, read.seed, read.provenance["versions"]["torch"]) == ("pgd", 3, torch.__version__.split("+")[0])
    differences = mngac.compare([record], [record])
    assert [d.difference for d in differences] == [0.0] * 5 and differences[-1].first == result.share("union")
    for wrong, words in (
        ({"method": "a name"}, "method: found"),
        ({"indices": [1, 2]}, "indices: found 2; allowed: 30"),
        ({"indices": [1] * 30}, "indices: found 1 twice"),
        ({"indices": ["a"] * 30}, 'indices: found "a"; allowed: a whole number from 0'),
        ({"seed": -1}, "seed: found -1"),
    ):
        with pytest.raises(UserError, match=words):
            result.record(**{"method": "mine", "dataset": "digits", **wrong})


def test_a_record_names_the_versions_that_the_pipelines_would():
    x, y = digits(4)
    for suite, packages in (("quick", {"torch"}), ("apgd", {"torch", "pyautoattack"})):
        record = mngac.evaluate(trained(), x, y, suite, radii=RADII).record("mine", "digits")
        assert set(record.provenance["versions"]) == packages and "key" not in record.provenance


def test_a_suite_whose_packages_are_missing_says_which_extra_has_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    monkeypatch.delitem(sys.modules, "mngac.evaluation.autoattack", raising=False)
    monkeypatch.delitem(sys.modules, "mngac.evaluation.attacks.apgd_ce", raising=False)
    monkeypatch.delitem(sys.modules, "mngac.evaluation.attacks.square", raising=False)
    with pytest.raises(UserError, match="the package pyautoattack is not installed; run: pip install"):
        mngac.attack(trained(), *digits(4), "l1", 1, kind="square", queries=5, restarts=1)
    with pytest.raises(UserError, match="the package pyautoattack is not installed; run: pip install"):
        mngac.evaluate(trained(), *digits(4), "apgd", radii=RADII)
    assert is_checkout()
    monkeypatch.setattr("mngac.params.extras.is_checkout", lambda: False)
    said = {name: missing(ModuleNotFoundError(name=name)) for name in ("dvc", "foolbox.attacks", "pandas", "yaml")}
    for name, extra in (("dvc", "[pipeline]"), ("foolbox.attacks", "[attacks]"), ("pandas", "[pandas]"), ("yaml", "")):
        assert f"pip install {extra and chr(39)}mngac{extra}{extra and chr(39)}, or" in said[name]
    with pytest.raises(ModuleNotFoundError):
        missing(ModuleNotFoundError(name="mngac.nothing"))


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("batched_apgd_ce", {}),
        ("batched_apgd_t", {"steps": 10, "targets": 3}),
        ("square", {"queries": 50, "restarts": 1}),
    ],
)
def test_adversarial_images_lie_in_the_ball_and_break_what_they_can(norm, kind, settings):
    x, y = digits(30)
    moved = mngac.attack(trained(), x, y, norm, RADII[norm], kind=kind, batch_size=12, **settings)
    assert moved.shape == x.shape and moved.dtype == torch.float32 and moved.min() >= 0 and moved.max() <= 1
    assert bool((LP[norm].size(moved - x) <= RADII[norm] * (1 + 1e-4)).all()) and not torch.equal(moved, x)
    clean, after = ((trained()(each).argmax(1) == y).sum() for each in (x, moved))
    assert after < clean
    as_bytes = (x * 255).round().to(torch.uint8)
    again = mngac.attack(trained(), as_bytes, y, norm, RADII[norm], kind=kind, batch_size=12, **settings)
    assert bool((LP[norm].size(again - as_bytes / 255) <= RADII[norm] * (1 + 1e-4)).all())


def liar(classifier, x, y, target, config):
    """Images that are not a number, too far away, and out of [0, 1]; the last one is as it should be."""
    moved = x.clone()
    moved[0, 0, 0, 0] = torch.nan
    moved[1] = 1 - x[1]
    moved[2, 0, 0, 0] = -0.01
    moved[3, 0, 0, 0] = x[3, 0, 0, 0] + 0.05
    return moved


def test_what_an_attack_must_not_return_comes_back_unmoved():
    x, y = digits(4)
    moved = mngac.attack(trained(), x, y, "linf", 0.1, kind=f"{__name__}:liar")
    assert torch.equal(moved[:3], x[:3]) and not torch.equal(moved[3], x[3])


WRONG_ATTACKS = [
    ({"norm": "l3"}, 'norm: found "l3"; allowed: linf, l1, l2'),
    ({"radius": 0}, "radius.linf: found 0; allowed: a positive"),
    ({"kind": "square", "steps": 3}, "attack.steps: not read by square; allowed: queries, restarts"),
    ({"kind": "sqare"}, "attack.attack: "),
    ({"step": 3}, "attack.step: unknown key"),
    ({"labels": torch.zeros(3).long()}, "4 images and 3 labels"),
    ({"labels": torch.full((4,), 15)}, "labels: found 15 to 15; allowed: 0 to 9"),
    ({"batch_size": 0}, "batch_size: found 0; allowed: a whole number from 1"),
    ({"norm": ["linf"]}, "norm: found "),
    ({"attack": "square"}, 'attack: found "square"; allowed: kind="square"'),
    ({"device": "gpu"}, 'device: found "gpu"; allowed: cpu'),
    ({"classifier": lambda x: x.flatten(1).sum(1)}, "classifier: found an output of (1,)"),
]


@pytest.mark.parametrize(("given", "words"), WRONG_ATTACKS)
def test_wrong_attacks_are_refused_in_one_line(given, words):
    x, y = digits(4)
    with pytest.raises(UserError) as error:
        mngac.attack(**{"classifier": trained(), "images": x, "labels": y, "norm": "linf", "radius": 0.1, **given})
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def net(classes, channels, size):
    """A model of one's own."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))


def test_classifiers_are_opened_from_files_folders_rows_and_functions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = (digits(40)[0] * 255).round().to(torch.uint8), digits(40)[1]
    made = mngac.train("nat", images, labels, radii=RADII, training=RECIPE, classes=10)
    x = images[:5] / 255
    row = tmp_path / "trained/digits/nat/seed0/classifier.safetensors"
    row.parent.mkdir(parents=True)
    made.save(row)
    torch.save({"state_dict": {f"module.{k}": v for k, v in made.classifier.state_dict().items()}}, "theirs.pt")
    sizes = {"classes": 10, "shape": (1, 8, 8)}
    opened = [
        mngac.load_classifier(row),
        mngac.load_classifier(str(row.parent)),
        mngac.load_classifier("digits/nat"),
        mngac.load_classifier("digits/nat/seed0"),
        mngac.load_classifier(row, model="wrn_10_1", **sizes),
        mngac.load_classifier("theirs.pt", model="wrn_10_1", **sizes),
    ]
    for classifier in opened:
        assert torch.equal(classifier(x), made.classifier(x)) and not classifier.training
    own = mngac.load_classifier(f"{__name__}:net", **sizes)
    assert torch.equal(own(x), net(10, 1, 8)(x))
    shifted = mngac.load_classifier(f"{__name__}:net", **sizes, mean=[0.5], std=[0.25])
    assert torch.allclose(shifted(x), net(10, 1, 8)((x - 0.5) / 0.25), atol=1e-5)


WRONG_CLASSIFIERS = [
    (("nowhere.pt",), {}, "nowhere.pt: not found"),
    (("weights.pt",), {}, "weights.pt: names no model"),
    (("weights.pt",), {"model": "wrn_10_1"}, "weights.pt: found classes null, shape null; allowed: both"),
    (("weights.pt",), {"model": "wrn_10_1", "classes": 10, "shape": (1, 8, 8)}, "weights.pt: "),
    (("nothing.here:net",), {"classes": 10, "shape": (1, 8, 8)}, "model: found"),
    ((f"{__name__}:net",), {"classes": 10, "shape": (1, 8, 8), "mean": [0.5]}, "mean and std: found"),
    ((f"{__name__}:net",), {"classes": 10, "shape": (1, 8, 8), "mean": [0.5], "std": [0]}, "mean and std: found"),
    ((f"{__name__}:net",), {"classes": 10, "shape": (1, 8, 8), "mean": [0.5] * 3, "std": [1]}, "mean and std: found"),
    ((f"{__name__}:net",), {"classes": 10, "shape": (1, 8, 8), "model": "wrn_10_1"}, "model: found"),
    ((f"{__name__}:net",), {"classes": 10, "shape": 8}, f"{__name__}:net: found classes 10, shape 8"),
    ((None,), {}, "source: found NoneType"),
]


@pytest.mark.parametrize(("source", "given", "words"), WRONG_CLASSIFIERS)
def test_wrong_classifiers_are_refused_in_one_line(source, given, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(2)}, "weights.pt")
    with pytest.raises(UserError) as error:
        mngac.load_classifier(*source, **given)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


@pytest.mark.slow
def test_a_training_in_memory_is_the_pipelines_to_the_byte(tmp_path):
    """Images, parameters and seed of a job of the DAG, given from Python: the same weights."""
    folder = workspace(tmp_path / "project", small(methods=("sat",), epochs=2))
    run(folder, "mngac", "data", "--dataset", "digits")
    run(folder, "mngac", "train", "--dataset", "digits", "--method", "sat", "--seed", "0")
    code = """
import mngac, torch
torch.set_num_threads(1)
data = mngac.load_data("data/digits.safetensors")
trained = mngac.train("sat", *data.images_of("train"), radii={"linf": 0.15, "l1": 1.5, "l2": 0.55},
    training={"like": "digits"}, validation=data.images_of("validation"), folder="memory")
again = mngac.train("sat", *data.images_of("train"), radii={"linf": 0.15, "l1": 1.5, "l2": 0.55},
    training={"like": "digits"}, validation=data.images_of("validation"), folder="memory")
theirs = mngac.load_classifier("digits/sat").state_dict()
for each in (trained, again):
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in each.classifier.state_dict().items())
print(trained.summary["flops"], len(trained.epochs), trained.training["epochs"], trained.method["kind"])
"""
    said = run(folder, sys.executable, "-c", code).stdout.split()
    assert said[1:] == ["2", "2", "stochastic"]
    assert f'"flops": {said[0]}' in (folder / "trained/digits/sat/seed0/train.json").read_text()


IMAGES, LABELS = torch.zeros(20, 1, 8, 8, dtype=torch.uint8), torch.arange(20) % 10
WRONG_TRAININGS = [
    ({"method": "mngac"}, 'method: found "mngac"; allowed: one of '),
    ({"method": {"like": "sat", "beat": 1}}, "methods.own.beat: unknown key"),
    ({"radii": {"linf": 0.1}}, "radii.standard.images.l1: missing"),
    ({"training": {"epoch": 3}}, "training.images.epoch: unknown key"),
    ({"images": IMAGES / 255}, "images: found torch.float32 (20, 1, 8, 8); allowed: torch.uint8, square"),
    ({"images": IMAGES[..., :4]}, "images: found torch.uint8 (20, 1, 8, 4); allowed: torch.uint8, square"),
    ({"classes": 9}, "labels: found 0 to 9; allowed: 0 to 8"),
    ({"validation": 1.0}, "validation: found 1.0; allowed: a share above 0 and below 1"),
    ({"validation": None}, "validation: found null; allowed: a share"),
    ({"validation": (IMAGES,)}, "validation: found tuple; allowed: two tensors"),
    ({"validation": 0.001}, "validation: found 0.001 of 20 images"),
    ({"training": {**RECIPE, "additional_share": 0.5}}, "training.additional_share: found 0.5; allowed: 0"),
    ({"method": "rst_linf"}, "pseudo_labelled: missing; allowed: images and labels, which rst_linf"),
    ({"method": {"like": "rst_linf"}}, "pseudo_labelled: missing; allowed: images and labels, which rst_linf"),
    ({"method": "soup"}, "method: found soup, which goes on from another classifier"),
    ({"method": {"like": "eat_ft"}}, "method: found eat_ft, which goes on from another classifier"),
    ({"method": {"kind": "soup"}}, "method: found own, which goes on from another classifier"),
    ({"method": {"like": "own"}}, "methods.own.like: found"),
    ({"training": {"like": "digits", "epochs": 1}}, "training.images.schedule.peak_epoch: found 12"),
    (
        {"training": {**RECIPE, "schedule": {"peak_epoch": 0, "drops": [3, 2]}}},
        "training.images.schedule.drops: found [3.0, 2.0]",
    ),
    ({"training": {**RECIPE, "select": {"epoch": "best", "suite": "quack"}}}, "training.images.select.suite: found"),
    (
        {"training": {**RECIPE, "semi": {"fraction": 0.999}}, "pseudo_labelled": (IMAGES, LABELS)},
        "training.images.semi.fraction: found 0.999; allowed: less",
    ),
    ({"method": None}, "method: found null; allowed: a mapping"),
    ({"radii": None}, "radii: found null; allowed: a mapping"),
    ({"training": "digits"}, 'training: found "digits"; allowed: a mapping'),
    ({"seed": 1.5}, "seed: found 1.5; allowed: a whole number from 0"),
    ({"classes": "10"}, 'classes: found "10"; allowed: a whole number from 1'),
    ({"device": "gpu"}, 'device: found "gpu"; allowed: cpu'),
]


@pytest.mark.parametrize(("given", "words"), WRONG_TRAININGS)
def test_wrong_trainings_are_refused_in_one_line(given, words):
    right = {"method": "sat", "images": IMAGES, "labels": LABELS, "radii": RADII, "training": RECIPE}
    with pytest.raises(UserError) as error:
        mngac.train(**{**right, **given})
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_a_folder_goes_on_with_the_same_training_alone(tmp_path, monkeypatch):
    """Not with that of a method whose code has changed since, nor of another number of classes."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("mngac.training.checkpoints.LEAST_SECONDS", 0)
    monkeypatch.setattr("mngac.training.checkpoints.TIMES_WRITING", 0)
    text = (
        "from torch.nn import functional as F\nfrom mngac.methods.base import Base\n"
        "class M(Base):\n    def loss(self, classifier, batch, step):\n"
        "        return 1 * F.cross_entropy(classifier(batch.x), batch.y)\n"
    )
    (tmp_path / "mine_here.py").write_text(text)
    given = {"method": {"kind": "mine_here:M"}, "images": IMAGES, "labels": LABELS, "radii": RADII, "training": RECIPE}
    said = []
    monkeypatch.setattr("mngac.evaluation.loop.Silent.line", lambda self, text: said.append(text))
    first = mngac.train(**given, folder=tmp_path / "kept")
    again = mngac.train(**given, folder=tmp_path / "kept")
    assert [line for line in said if "resumes after" in line] and again.epochs[0]["loss"] == first.epochs[0]["loss"]
    with pytest.raises(UserError, match="found the checkpoint of another training"):
        mngac.train(**given, classes=12, folder=tmp_path / "kept")
    (tmp_path / "mine_here.py").write_text(text.replace("1 *", "0 *"))
    for cached in (fingerprint._digest, fingerprint._stripped, fingerprint._tree):
        cached.cache_clear()
    with pytest.raises(UserError, match="found the checkpoint of another training"):
        mngac.train(**given, folder=tmp_path / "kept")


def test_pseudo_labelled_images_are_mixed_into_every_batch():
    images, labels = (digits(40)[0] * 255).round().to(torch.uint8), digits(40)[1]
    alone, mixed = (
        mngac.train("nat", images, labels, radii=RADII, training=RECIPE, classes=10, pseudo_labelled=more)
        for more in (None, (images.flip(3), labels))
    )
    assert alone.epochs[-1]["loss"] != mixed.epochs[-1]["loss"]


def test_a_training_leaves_the_random_generators_as_they_were():
    images, labels = (digits(40)[0] * 255).round().to(torch.uint8), digits(40)[1]
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    benchmark = torch.backends.cudnn.benchmark
    mngac.train("nat", images, labels, radii=RADII, training=RECIPE, classes=10, device=torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected) and torch.backends.cudnn.benchmark == benchmark
