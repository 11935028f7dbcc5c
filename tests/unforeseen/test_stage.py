"""The stage: a record for each job, resumed batch by batch; its key; an attack of one's own."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from corrupted_archives import darkened
from evaluation_helpers import RADII, digits, trained
from helpers import Heard, small

from mngac.evaluation.tasks import AttackFailed
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.unforeseen import Unforeseen
from mngac.pipeline.cache import key_of
from mngac.pipeline.jobs import job
from mngac.results import unforeseen as records
from mngac.unforeseen.attacks import rotation_translation
from mngac.unforeseen.loop import measure

MOTIONS = {"attack": "rotation_translation", "degrees": 20, "shift": 0.5, "angles": 3, "shifts": 3}
MIX = {"attack": "affine_linf_l1", "beta": 0.5, "steps": 8, "restarts": 2}


def entry(*attacks, **changes):
    return Unforeseen.model_validate({"attacks": [*attacks], "batch_size": 7, "n": None, "seed": 0, **changes})


def measured(given, **more):
    x, y = digits(40)
    return measure(trained(), x, y, given, RADII, "digits", 10, **more)


def test_attacks_do_not_depend_on_each_other_and_one_kind_may_stand_twice():
    twice = measured(entry(MOTIONS, {**MIX, "beta": 0.25}, MIX))
    alone = measured(entry(MIX))
    assert [one.name for one in twice.attacks] == ["rotation_translation", "affine_linf_l1", "affine_linf_l1_2"]
    assert twice.attacks[2].columns == alone.attacks[0].columns
    for one in twice.attacks:
        column = one.columns["worst case"]
        assert all((mark == ".") == (clean == "0") for mark, clean in zip(column, twice.clean, strict=True))


def test_finished_batches_are_not_run_again(tmp_path, monkeypatch):
    file = tmp_path / "tasks.jsonl"
    whole = measured(entry(MOTIONS, MIX), resume=file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4]))  # of six batches of motions, and as many of the mix
    calls = []
    search = rotation_translation.Attack.search
    monkeypatch.setattr(
        rotation_translation.Attack, "search", lambda self, *given: calls.append(1) or search(self, *given)
    )
    again = measured(entry(MOTIONS, MIX), resume=file)
    assert again.attacks == whole.attacks and len(calls) == len(lines) // 2 - 4


def test_an_attack_that_raises_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(rotation_translation.Attack, "search", lambda self, *given: 1 / 0)
    with pytest.raises(AttackFailed, match=r"rotation_translation worst case 0 on images .*ZeroDivisionError"):
        measured(entry(MOTIONS))


def test_the_log_says_accuracy_and_budget():
    log = Heard()
    measured(entry(MOTIONS), log=log)
    assert any("rotation_translation, 20 degrees, 0.5 pixels: " in line and "% correct" in line for line in log.lines)


WHO = {"dataset": "digits", "method": "nat", "seed": "0", "unforeseen": "digits", "profile": "standard"}


def raw(**changes):
    """The digits' entry, short; the cifar10 entry's corruptions beside it."""
    given = small(methods=("nat",), unforeseen=["digits"])
    corruptions = {"attack": "corruptions", "corruptions": ["fog"], "sources": {"cifar10": "c"}}
    short = {"attacks": [MOTIONS, MIX, corruptions], "batch_size": 8, "n": 12, "seed": 0}
    given["unforeseen"]["digits"] = {**short, **changes}
    return given


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A workspace with data and a trained classifier."""
    folder = tmp_path_factory.mktemp("trained")
    params = parse(raw())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MNGAC_CACHE", str(folder / "cache"))
        job(params, "data", dataset="digits").run()
        job(params, "train", dataset="digits", method="nat", seed="0").run()
    return folder


@pytest.fixture
def project(trained_once, tmp_path, monkeypatch):
    """A workspace with data and a classifier, and an empty cache."""
    for name in ("data", "trained"):
        (tmp_path / name).symlink_to(trained_once / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))


def test_a_record_says_who_was_attacked_with_what_and_repeats(project):
    one = job(parse(raw()), "unforeseen", **WHO)
    assert one.run() == "made"
    path = Path("unforeseen/digits/nat/seed0/digits-standard.json")
    record = records.read(path)
    assert (record.n, record.name) == (12, "digits/nat/seed0/digits-standard")
    assert [attack.name for attack in record.attacks] == ["rotation_translation", "affine_linf_l1", "corruptions"]
    assert record.attacks[1].budget == "0.5 of l_inf 0.15 + 0.5 of l_1 1.5"
    assert record.attacks[2].columns == {}, "the digits have no archive"
    first = json.loads(path.read_text())
    path.unlink()
    assert one.run() == "cached" and path.exists()
    path.unlink()
    shutil.rmtree("cache")
    assert one.run() == "made"
    second = json.loads(path.read_text())
    assert first.pop("timing").keys() == second.pop("timing").keys() and first == second


def key(given, **changes):
    return key_of(job(parse(given), "unforeseen", **{**WHO, **changes}).key_parts())


def test_a_key_is_of_what_the_record_depends_on(project):
    own = key(raw())
    assert key(raw(seed=1)) != own and key(raw(n=13)) != own
    assert key(raw(attacks=[{**MOTIONS, "degrees": 21}])) != key(raw(attacks=[MOTIONS]))
    other = raw()
    other["evaluation"]["apgd"]["seed"] = 9
    other["unforeseen"]["cifar10"]["seed"] = 9
    assert key(other) == own
    wider = raw()
    wider["radii"]["standard"]["digits"]["l1"] = 2.0
    assert key(wider) != own
    elsewhere = raw()
    elsewhere["unforeseen"]["digits"]["attacks"][-1]["sources"] = {"cifar10": "elsewhere"}
    assert key(elsewhere) == own, "the archive of another data set"


def test_the_archives_content_is_in_the_key_wherever_it_lies(project):
    def with_archive(path):
        given = raw()
        given["unforeseen"]["digits"]["attacks"][-1]["sources"] = {"digits": str(path)}
        return given

    for name in ("one", "two"):
        Path(name).write_bytes(b"an archive")
    Path("three").write_bytes(b"another")
    assert key(with_archive("one")) == key(with_archive("two")) != key(with_archive("three"))
    with pytest.raises(ParamsError, match=r"unforeseen\.digits\.attacks\.2\.sources\.digits: four: not found"):
        key(with_archive("four"))


def test_corruptions_of_the_data_sets_own_archive_are_measured(project):
    darkened(Path("archive"), names=("fog",))
    given = raw(n=5)
    given["unforeseen"]["digits"]["attacks"][-1]["sources"] = {"digits": "archive"}
    job(parse(given), "unforeseen", **WHO).run()
    found = records.read("unforeseen/digits/nat/seed0/digits-standard.json").attacks[-1]
    assert list(found.columns) == [f"fog {k}" for k in range(1, 6)] and found.n == 5
    assert found.share == pytest.approx(sum(found.severities.values()) / 5)


OWN = '''
import torch
from mngac.unforeseen.search import Search


class Inverted(Search):
    """Negatives of images."""

    @property
    def budget(self):
        return f"a negative, {self.config.options['share']} of it"

    def search(self, classifier, x, y):
        return torch.full((len(x), 1), float(self.config.options["share"]))

    def within(self, x, witness):
        return (witness[:, 0] >= 0) & (witness[:, 0] <= 1)

    def made(self, x, witness):
        share = witness[:, 0].view(-1, 1, 1, 1)
        return (1 - share) * x + share * (1 - x)
'''


def test_an_attack_of_ones_own_is_named_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "unforeseen_of_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    one = {"attack": "unforeseen_of_mine:Inverted", "options": {"share": 1.0}}
    found = measured(entry(one, {**one, "options": {"share": 0.0}}))
    assert found.attacks[0].budget == "a negative, 1.0 of it" and found.attacks[0].share < 40
    assert found.attacks[1].share == pytest.approx(100 * found.clean.count("1") / len(found.clean))
    given = raw(attacks=[{**one, "options": {}}])
    with pytest.raises(ParamsError, match=r"unforeseen\.digits\.attacks\.0\.options\.share: missing"):
        parse(given)


def test_the_classifiers_weights_and_the_random_generators_are_left_as_found():
    model = trained()
    for weight in model.parameters():
        weight.requires_grad_(True)
    x, y = digits(10)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    measure(model, x, y, entry(MOTIONS, MIX, {"attack": "l0", "pixels": 1, "steps": 3, "queries": 5}), RADII, "d", 10)
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
