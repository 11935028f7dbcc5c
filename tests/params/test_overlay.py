"""Overlays: what differs from params.yaml, laid over it key by key, checked as a whole, and told from a whole file."""

import pytest
import yaml
from helpers import ROOT, raw_params

from mngac.params.checks import load
from mngac.params.errors import ParamsError
from mngac.params.inheritance import merged
from mngac.params.overlay import BASE, is_overlay, laid, whole

OVERLAYS = sorted((ROOT / "params").glob("*.yaml"))
PAPER_BUDGETS = {"cifar10": "wrn_28_10", "svhn": "wrn_28_10", "tiny_imagenet": "resnet_50"}
THIRTEEN = {
    *("nat", "adv_linf", "adv_l1", "adv_l2", "trades_linf", "adv_avg", "adv_max", "msd", "sat", "sat_ac", "mng_ac"),
    *("rst_linf", "mng_ac_rst_linf"),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the project's params.yaml, and a function that writes an overlay and names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())

    def overlay(text):
        (tmp_path / "over.yaml").write_text(text)
        return "over.yaml"

    return overlay


def test_an_overlay_is_laid_over_params_key_by_key_and_lists_are_replaced(project):
    found = laid(project("over: params.yaml\nrun: {seeds: [7, 8]}\nmethods: {mng_ac: {beta: 3}}\n")).params
    assert found.run.seeds == [7, 8] and found.run.datasets == ["digits"]
    assert found.methods["mng_ac"].beta == 3 and found.methods["mng_ac"].kind == "mng_ac"


def test_an_overlay_may_lie_over_another(project, tmp_path):
    below = tmp_path / "below.yaml"
    below.write_text("over: params.yaml\nrun: {seeds: [7], split: validation}\nmethods: {mng_ac: {beta: 3}}\n")
    found = laid(project("over: below.yaml\nrun: {seeds: [8, 9]}\nmethods: {mng_ac: {beta: 4}}\n"))
    assert found.params.run.seeds == [8, 9] and found.params.run.split == "validation"
    assert found.params.methods["mng_ac"].beta == 4 and found.base == raw_params()
    below.write_text("over: params.yaml\ndata: null\n")
    with pytest.raises(ParamsError, match=r"^below.yaml: data: found null"):
        laid("over.yaml")
    below.write_text("over: over.yaml\n")
    with pytest.raises(ParamsError, match=r'^below.yaml: over: found "over.yaml"; allowed: no file that lies over'):
        laid("over.yaml")


def test_a_file_says_itself_which_it_is(project):
    over = project("over: params.yaml\nrun: {seeds: [7]}\n")
    assert is_overlay(over) and not is_overlay("params.yaml")
    assert whole(over).run.seeds == [7] and whole("params.yaml") == load("params.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run: {seeds: [7]}", "over.yaml: found no key over; allowed: `over: params.yaml`"),
        ("[1]", "over.yaml: found no key over"),
        ("over: other.yaml", 'over.yaml: over: found "other.yaml"; allowed: params.yaml, or another'),
        ("over: [params.yaml]", "over.yaml: over: found ["),
        ("over: over.yaml", 'over.yaml: over: found "over.yaml"; allowed: no file that lies over this one'),
        ("over: params.yaml\nrun: {sedes: [7]}", "over.yaml: run.sedes: unknown key; allowed: seeds, datasets"),
        ("over: params.yaml\nrnu: {seeds: [7]}", "over.yaml: rnu: unknown key; allowed: run"),
        ("over: params.yaml\nrun: {seeds: []}", "over.yaml: run.seeds: found []"),
        ("over: params.yaml\nrun: {methods: [nta]}", 'over.yaml: run.methods.0: found "nta"'),
        ("over: params.yaml\nrun: 3", "over.yaml: run: found 3"),
        ("over: params.yaml\nrun: {seeds: [1], seeds: [2]}", "run.seeds: found twice"),
    ],
)
def test_a_wrong_one_is_refused_in_one_line_that_names_it(project, text, told):
    with pytest.raises(ParamsError) as error:
        laid(project(text))
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_what_is_wrong_in_params_is_not_put_upon_the_overlay(project, tmp_path):
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("threads: 1", "threads: 0"))
    with pytest.raises(ParamsError, match=r"^run.threads: found 0"):
        laid(project("over: params.yaml\nrun: {seeds: [7]}"))


def test_whoever_wants_a_whole_file_is_told_what_to_do_with_an_overlay(project):
    with pytest.raises(ParamsError, match=r"^over.yaml: found over: .*; mngac use over.yaml$"):
        load(project("over: params.yaml\nrun: {seeds: [7]}"))


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_the_overlays_of_the_project_hold_only_what_differs(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = laid(str(path)).whole
    raw = yaml.safe_load(path.read_text())
    over = raw.pop("over")
    below = raw_params() if over == BASE else laid(over).whole

    def same(own, base):
        """Paths of leaves that the base says already."""
        if isinstance(own, dict) and isinstance(base, dict):
            return [f"{key}.{inner}" for key in own if key in base for inner in same(own[key], base[key])]
        return [""] if own == base else []

    assert same(raw, below) == [] and found == merged(below, raw) != below


def test_the_papers_run_is_the_papers(monkeypatch):
    """Three data sets, thirteen methods, its models and budgets (docs/paper.md)."""
    monkeypatch.chdir(ROOT)
    params = whole("params/paper.yaml")
    run = params.run
    assert set(run.all_methods) == THIRTEEN and len(run.all_methods) == 13
    assert run.datasets == [*PAPER_BUDGETS] and len(run.seeds) == 3 and run.suites == ["quick", "autoattack"]
    assert (run.profiles, run.device, run.split) == (["standard"], "cuda", "test")
    for dataset, model in PAPER_BUDGETS.items():
        training = params.training_for(dataset)
        assert (training.model, training.epochs, training.batch_size) == (model, 30, 128)
        assert (training.schedule.peak, training.schedule.peak_epoch) == (0.21, 12)
        assert (training.momentum, training.weight_decay) == (0.9, 0.0005)
        assert [getattr(training.attack, norm).steps for norm in ("linf", "l1", "l2")] == [10, 20, 10]
        assert training.augment == ([] if dataset == "svhn" else ["crop", "flip"])
