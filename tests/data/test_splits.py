"""Held-out splits are seeded, stratified unless order matters, and recorded by index."""

import pytest
import torch
from tiny_data import REPOSITORY, source, write_params

from mngac.data import store
from mngac.data.loaders import digits
from mngac.data.prepare import divide, held_out, limited, prepare
from mngac.data.store import RawData, Split
from mngac.data.workspace import Workspace
from mngac.params.checks import load
from mngac.params.errors import DataError, ParamsError, UserError
from mngac.pipeline.progress import Log


def raw(train=200, test=60, classes=4, **more):
    """Images whose first pixel is their index; classes in turns, or together where grouped."""

    def images(count):
        made = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
        made[:, 0, 0, 0] = torch.arange(count) % 256
        return made

    def labels(count):
        number = torch.arange(count)
        return number * classes // count if more.get("grouped") else number % classes

    names = [f"class {i}" for i in range(classes)]
    return RawData(images(train), labels(train), images(test), labels(test), names, **more)


def counts(labels, classes=4):
    return torch.bincount(labels, minlength=classes).tolist()


@pytest.mark.parametrize("grouped", [False, True])
def test_parts_are_disjoint_cover_train_and_keep_the_classes_shares(grouped):
    content = raw(grouped=grouped)
    splits = divide(content, 0.1, 0.2)
    drawn = [splits[name].index for name in ("train", "validation", "unlabelled")]
    assert torch.cat(drawn).sort().values.tolist() == list(range(200))
    assert [len(index) for index in drawn] == [140, 20, 40]
    for name in ("train", "validation", "unlabelled"):
        part = splits[name]
        assert len(set(counts(part.labels))) == 1, name
        assert torch.equal(part.labels, content.train_labels[part.index])
        assert torch.equal(part.images[:, 0, 0, 0].long(), part.index)


def test_the_same_parts_are_drawn_every_time_and_others_for_other_shares():
    first, again, other = (divide(raw(), share, 0.2)["validation"].index for share in (0.1, 0.1, 0.15))
    assert torch.equal(first, again) and len(other) == 30


def test_any_first_images_of_a_grouped_source_are_a_fair_sample():
    splits = divide(raw(grouped=True), 0.2, 0.0)
    for name in ("test", "validation"):
        assert counts(splits[name].labels[:12]) == [3, 3, 3, 3]
    assert splits["test"].index.sort().values.tolist() == list(range(60))


def test_an_official_order_is_kept():
    splits = divide(raw(), 0.1, 0.2)
    assert splits["test"].index.tolist() == list(range(60))
    assert splits["validation"].index.tolist() == sorted(splits["validation"].index.tolist())


def test_ordered_sources_are_cut_in_contiguous_runs():
    splits = held_out(torch.zeros(10, dtype=torch.int64), (0.2, 0.3), ordered=True)
    assert [p.tolist() for p in splits] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_a_pool_of_the_source_is_used_whole_and_train_keeps_its_images():
    pool = torch.zeros(7, 3, 4, 4, dtype=torch.uint8), torch.full((7,), -1)
    splits = divide(raw(pool=pool), 0.1, 0.5)
    assert len(splits["unlabelled"]) == 7 and len(splits["train"]) == 180
    assert splits["unlabelled"].images.data_ptr() == pool[0].data_ptr(), "not copied"


def test_fewer_images_keep_classes_and_indices():
    splits = limited(divide(raw(), 0.1, 0.0), 40, 8, ordered=False)
    assert counts(splits["train"].labels) == [10] * 4 and counts(splits["test"].labels) == [2] * 4
    assert torch.equal(splits["train"].images[:, 0, 0, 0].long(), splits["train"].index)
    assert len(splits["validation"]) == 20
    first = limited(divide(raw(ordered=True), 0.1, 0.0), 5, 3, ordered=True)
    assert first["train"].index.tolist() == [0, 1, 2, 3, 4] and first["test"].index.tolist() == [0, 1, 2]


def test_the_file_is_the_parts_byte_by_byte_and_aligned(tmp_path):
    splits = divide(raw(), 0.1, 0.2)
    for name in ("a", "b"):
        store.save(tmp_path / name, splits, list("wxyz"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    data = store.load(tmp_path / "a")
    for name, part in splits.items():
        for field in ("images", "labels", "index"):
            assert torch.equal(getattr(data.splits[name], field), getattr(part, field))
    assert data.shape == (3, 4, 4) and data.classes == list("wxyz")


def test_a_changed_or_cut_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    store.save(path, divide(raw(), 0.1, 0.2), list("wxyz"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=r"a\.safetensors: its content is not what was written; delete it"):
        store.load(path)
    path.write_bytes(content[:-10])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        store.load(path)


def test_holding_everything_out_is_refused(tmp_path, monkeypatch):
    small = raw(train=2)
    monkeypatch.setattr(digits, "load", lambda settings, workspace: small)
    with pytest.raises(DataError, match="no training images are left"):
        prepare("mine", source("digits", None, validation=0.9), tmp_path / "a", tmp_path, Log())


def test_digits_are_what_they_were():
    loaded = digits.load(source("digits", None), Workspace("digits", Log(), REPOSITORY, REPOSITORY))
    assert len(loaded.train_images) == 899 and len(loaded.test_images) == 898 and loaded.ordered


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"loader": "cifar100"}, 'data.mine.loader: found "cifar100"; allowed: one of cifar10, digits, folder'),
        ({"loader": "cifar10", "size": 32}, "data.mine.size: not read by cifar10"),
        ({"loader": "svhn", "classes": 10}, "data.mine.classes: not read by svhn"),
        ({"loader": "cifar10", "unlabelled": "extra"}, 'data.mine.unlabelled: found "extra"; allowed: a share or a'),
        (
            {"loader": "cifar10", "unlabelled": 1.5},
            "data.mine.unlabelled: found 1.5; allowed: a share from 0 to under 1",
        ),
        ({"loader": "cifar10", "unlabelled": True}, "data.mine.unlabelled: found true; allowed"),
        ({"loader": "cifar10", "folds": 5}, "data.mine.folds: unknown key; allowed: loader, source"),
    ],
)
def test_settings_that_set_nothing_are_refused(tmp_path, entry, says):
    with pytest.raises(ParamsError) as caught:
        load(write_params(tmp_path / "params.yaml", mine=entry))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("name", ["cifar10", "svhn", "tiny_imagenet"])
def test_params_carry_the_papers_settings_and_a_quick_form(name):
    params = load(REPOSITORY / "params.yaml")
    paper, quick = params.training_for(name), params.training_for(f"{name}_quick")
    assert (paper.epochs, paper.batch_size, paper.schedule.peak) == (30, 128, 0.21)
    assert paper.model == {"tiny_imagenet": "resnet_50"}.get(name, "wrn_28_10")
    assert paper.augment == ([] if name == "svhn" else ["crop", "flip"]) == quick.augment
    assert params.radii_for("standard", name) == params.radii_for("standard", f"{name}_quick")
    assert params.data[name].train_images is None and params.data[f"{name}_quick"].train_images <= 2000
    for training in (paper, quick):
        assert training.schedule.peak_epoch < training.epochs


def test_a_part_is_empty_or_says_what_to_do():
    none = Split(torch.zeros(0, 3, 4, 4), torch.zeros(0), torch.zeros(0))
    with pytest.raises(DataError, match="no validation images; give it a share"):
        store.DataSet({"validation": none, "test": none}, [], "").split("validation")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"unlabelled": 0.1}, "held out of its training images: 25 % for validation, 10 % without labels"),
        ({"unlabelled": "extra"}, "held out of its training images: 25 % for validation"),
        ({"validation": 0.0}, "nothing held out of training"),
        ({"train_images": 2000}, "held out of its training images: 25 % for validation; of the rest 2,000 used"),
    ],
)
def test_tables_say_what_was_held_out(settings, text):
    assert source("svhn", None, **settings).held_out == text
