"""Files of weights that others wrote, and their evaluation outside the DAG."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers import FIXTURES, ROOT
from safetensors.torch import load_file, save_file
from torch import nn

from mngac import cli
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.evaluation.loop import AttackFailed
from mngac.models.files import Architecture, architecture_of, save_classifier
from mngac.models.foreign import ForeignError, load_foreign
from mngac.params.checks import load
from mngac.pipeline.cache import key_of
from mngac.pipeline.code import measuring
from mngac.pipeline.jobs import job
from mngac.results import records


@pytest.mark.parametrize("name", ["official_wrn_10_1.pth", "official_wrn_10_1_legacy.pth"])
def test_the_authors_files_give_the_authors_logits(name):
    io = load_file(FIXTURES / "official_wrn_10_1_io.safetensors")
    model = load_foreign(FIXTURES / name, "wrn_10_1", 10, 3, 32)
    with torch.no_grad():
        assert torch.allclose(model(io["x"]), io["logits_eval"], atol=1e-5)
    assert not model.training


def plain() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return Architecture("wrn_10_1", 10, 1, 8).build().state_dict()


@pytest.mark.parametrize(
    "form",
    [
        lambda w: w,
        lambda w: {"state_dict": w},
        lambda w: {"net": w, "epoch": 3, "acc": 0.5},
        lambda w: {"model": w, "optimizer": {"lr": 0.1}},
        lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}},
        lambda w: {k: v for k, v in w.items() if "num_batches_tracked" not in k},
        lambda w: {"state_dict": {**w, "sub_block1.layer.0.bn1.weight": torch.ones(16)}},
    ],
    ids=["plain", "state_dict", "net", "model", "module", "no counters", "unused sub_block1"],
)
def test_every_form_gives_the_same_weights(tmp_path, form):
    torch.save(form(plain()), tmp_path / "w.pt")
    loaded = load_foreign(tmp_path / "w.pt", "wrn_10_1", 10, 1, 8).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in plain().items() if "num_batches" not in k)


def test_safetensors_of_others_are_read(tmp_path):
    save_file({k: v.contiguous() for k, v in plain().items()}, tmp_path / "w.safetensors")
    loaded = load_foreign(tmp_path / "w.safetensors", "wrn_10_1", 10, 1, 8)
    assert torch.equal(loaded.fc.weight, plain()["fc.weight"])


def test_missing_unexpected_and_misshapen_keys_are_all_named_in_one_line(tmp_path):
    weights = {k: v for k, v in plain().items() if k != "fc.bias"}
    weights |= {"extra.weight": torch.ones(1), "fc.weight": torch.ones(3, 64)}
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ForeignError) as caught:
        load_foreign(tmp_path / "w.pt", "wrn_10_1", 10, 1, 8)
    text = str(caught.value)
    assert (
        "missing: fc.bias; unexpected: extra.weight; of another shape: fc.weight (3, 64) in place of (10, 64)" in text
    )
    assert "\n" not in text


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"state_dict": plain(), "args": Path("x")}, tmp_path / "w.pt")
    with pytest.raises(
        ForeignError, match=r"a pickle with other objects .* \(pathlib\.\w+\); not read; where it was made, save"
    ):
        load_foreign(tmp_path / "w.pt", "wrn_10_1", 10, 1, 8)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"not a file of weights", b"hello", b"run: 1\n", bytes(500), b"PK\3\4", b""])
def test_rubbish_is_refused_in_one_line_that_says_what_is_read(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ForeignError) as caught:
        load_foreign(tmp_path / name, "wrn_10_1", 10, 1, 8)
    allowed = "safetensors, or what torch.save wrote of tensors and plain values alone, whole"
    assert str(caught.value) == f"{tmp_path / name}: can't be read as weights; allowed: {allowed}"


@pytest.mark.parametrize("name", ["w", "w.safetensors"])
def test_a_folder_in_the_place_of_weights_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ForeignError, match=rf"{name}: found a folder; allowed: a file of weights$"):
        load_foreign(tmp_path / name, "wrn_10_1", 10, 1, 8)


def test_loading_leaves_the_global_generator_as_found(tmp_path):
    torch.save(plain(), tmp_path / "w.pt")
    before = torch.get_rng_state()
    load_foreign(tmp_path / "w.pt", "wrn_10_1", 10, 1, 8)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- the command


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml, prepared digits and somebody's checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = Architecture("wrn_10_1", 10, 1, 8).build()
    model.load_state_dict(plain())
    labels = model.eval()(to_unit(images)).argmax(1)
    parts = {name: store.Split(images.clone(), labels.clone(), torch.arange(12)) for name in store.SPLITS}
    store.save("data/digits.safetensors", parts, [str(c) for c in range(10)])
    torch.save({"net": plain()}, "w.pt")
    return tmp_path


def evaluate(*more: str) -> int:
    return cli.main(["evaluate", "--dataset", "digits", "--suite", "pgd", *more])


FILE = ("--checkpoint", "w.pt", "--model", "wrn_10_1")


def test_a_foreign_checkpoint_gets_a_record(project):
    assert evaluate(*FILE, "--n", "5", "--seed", "7", "--out", "r.json") == 0
    made = records.read("r.json")
    assert (made.method, made.seed, made.n, made.suite, made.profile) == ("w", 0, 5, "pgd", "standard")
    assert made.provenance["params"]["suite"]["seed"] == 7
    assert made.provenance["params"]["suite"]["n"] == 5
    assert not list((project / "cache").glob("work/*/tasks.jsonl"))


def test_under_records_the_path_says_whose_record_it_is(project):
    assert evaluate(*FILE, "--n", "3", "--out", "records/digits/mine/seed2/pgd-standard.json") == 0
    made = records.read("records/digits/mine/seed2/pgd-standard.json")
    assert (made.method, made.seed) == ("mine", 2)


def test_a_row_of_the_run_can_not_be_taken_by_somebody_elses_classifier(project, capsys):
    path = "records/digits/nat/seed0/quick-standard.json"
    assert cli.main(["evaluate", "--dataset", "digits", *FILE, "--n", "3", "--out", path]) == 2
    assert "--out: found" in (said := capsys.readouterr().err) and "evaluate of the run writes this one" in said
    assert not Path(path).exists()


def test_a_record_says_what_its_classifier_is_and_how_its_images_were_normalised(project):
    assert evaluate(*FILE, "--n", "3", "--out", "r.json") == 0
    assert records.read("r.json").provenance["classifier"] == {"model": "wrn_10_1"}
    assert evaluate(*FILE, "--n", "3", "--mean", "0.5", "--std", "0.25", "--out", "m.json") == 0
    told = records.read("m.json").provenance["classifier"]
    assert told == {"model": "wrn_10_1", "mean": [0.5], "std": [0.25]}


def test_a_record_from_outside_has_the_attack_code_of_the_dag(project):
    evaluate(*FILE, "--n", "3", "--out", "r.json")
    code = job(load(), "evaluate", dataset="digits", method="sat", seed="0", suite="pgd", profile="standard").stated()
    shared = {root: code["code"][root] for root in measuring(load().evaluation["pgd"])}
    assert records.read("r.json").provenance["code"] == key_of(shared)


def test_the_same_evaluation_again_is_a_cache_hit_and_leaves_the_dags_stamps_alone(project, capsys):
    for out in ("r.json", "again.json"):
        assert evaluate(*FILE, "--n", "3", "--out", out) == 0
    assert capsys.readouterr().err.count("cached, key") == 1
    assert Path("r.json").read_bytes() == Path("again.json").read_bytes()
    assert not Path(".mngac/stamps").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((*FILE, "--out", "records/svhn/m/seed0/pgd-standard.json"), "--out: found records/svhn"),
        (("--checkpoint", "w.pt", "--out", "r.json"), "--model: missing"),
        ((*FILE, "--seed", "x", "--out", "r.json"), '--seed: found "x"; allowed: an integer from 0'),
        ((*FILE, "--n", "0", "--out", "r.json"), "--n: found 0; allowed"),
        ((*FILE, "--profile", "wide", "--out", "r.json"), '--profile: found "wide"; allowed: standard, large_l1'),
        (FILE, "--out: missing"),
        ((*FILE, "--out", "w.pt"), "w.pt: would be written over"),
        ((*FILE, "--out", "data/../data/digits.safetensors"), "data/../data/digits.safetensors: would be written over"),
        ((*FILE, "--out", "params.yaml"), "params.yaml: would be written over"),
        ((*FILE, "--out", "r.json", "--verdict", "w.pt"), "w.pt: would be written over"),
        ((*FILE, "--out", "r.json", "--verdict", "r.challenge.json"), "r.challenge.json: would be written over"),
        ((*FILE, "--out", "trained/digits/nat/seed0/train.json"), "--out: found"),
        (("--method", "sat", "--seed", "0"), "--profile: missing"),
        (("--method", "sat", "--seed", "0", "--profile", "standard", "--n", "3"), "--n: not read without"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(project, capsys, more, message):
    assert evaluate(*more) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mngac: {message}") and error.count("\n") == 1


def test_our_own_file_names_its_model(project, capsys):
    save_classifier("own.safetensors", Architecture("wrn_10_1", 10, 1, 8).build(), Architecture("wrn_10_1", 10, 1, 8))
    assert evaluate("--checkpoint", "own.safetensors", "--n", "3", "--out", "r.json") == 0
    assert evaluate("--checkpoint", "own.safetensors", "--model", "wrn_16_2", "--n", "3", "--out", "r.json") == 2
    assert "--model: found wrn_16_2; allowed: wrn_10_1" in capsys.readouterr().err


def test_a_file_under_another_model_is_no_cache_hit(project, capsys):
    assert evaluate(*FILE, "--n", "3", "--out", "r.json") == 0
    assert evaluate("--checkpoint", "w.pt", "--model", "wrn_16_2", "--n", "3", "--out", "again.json") == 2
    assert "not the weights of this wrn_16_2" in capsys.readouterr().err and not Path("again.json").exists()


def test_our_own_file_for_other_images_or_cut_short_is_refused_in_one_line(project, capsys):
    large = Architecture("wrn_10_1", 10, 3, 32)
    save_classifier("large.safetensors", large.build(), large)
    Path("cut.safetensors").write_bytes(Path("large.safetensors").read_bytes()[:100])
    for name, says in (("large", "made for 10 classes of 3x32x32 images"), ("cut", "not a whole safetensors file")):
        assert evaluate("--checkpoint", f"{name}.safetensors", "--out", "r.json") == 2
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1


def test_an_attack_that_raises_leaves_no_record_and_keeps_its_traceback(project, monkeypatch):
    def raising(*_):
        raise RuntimeError("no more memory")

    monkeypatch.setattr("mngac.evaluation.attacks.pgd.attack", raising)
    with pytest.raises(AttackFailed, match=r"^pgd linf 0 on images .*no more memory") as failed:
        evaluate(*FILE, "--out", "r.json")
    assert str(failed.value.__cause__) == "no more memory"
    assert not Path("r.json").exists()


NET = """
from torch import nn

def flat(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))
"""


def test_a_file_of_ones_own_model_is_evaluated_imported_and_evaluated_again(project, monkeypatch, capsys):
    (project / "lib").mkdir()
    (project / "lib/net_from_outside.py").write_text(NET)
    monkeypatch.syspath_prepend(str(project / "lib"))
    own = ("--model", "net_from_outside:flat", "--dataset", "digits")
    (project / "files").mkdir()
    torch.save({"state_dict": nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict()}, "files/flat.pt")
    assert evaluate("--checkpoint", "files/flat.pt", *own, "--n", "4", "--out", "r.json") == 0
    assert cli.main(["import-checkpoint", "files/flat.pt", *own, "--out", "own.safetensors"]) == 0
    assert architecture_of("own.safetensors").model == "net_from_outside:flat"
    capsys.readouterr()
    assert evaluate("--checkpoint", "own.safetensors", "--n", "4", "--out", "again.json") == 2
    assert 'own.safetensors asks to run "net_from_outside:flat", which is code' in capsys.readouterr().err
    assert evaluate("--checkpoint", "own.safetensors", *own[:2], "--n", "4", "--out", "again.json") == 0
    assert records.read("again.json").clean == records.read("r.json").clean
    assert cli.main(["reevaluate", "files", *own, "--suite", "pgd", "--n", "4", "--out", "out"]) == 0
    assert records.read("out/flat-pgd-standard.json").clean == records.read("r.json").clean
    capsys.readouterr()
    assert evaluate("--checkpoint", "files/flat.pt", "--model", "net_from_outside:deep", "--out", "r.json") == 2
    said = capsys.readouterr().err
    assert (
        said.startswith('mngac: --model: found "net_from_outside:deep"; allowed: a function') and said.count("\n") == 1
    )
