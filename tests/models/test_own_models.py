"""A model of the user's own: built, saved and opened by its name, refused in one line where it does not fit."""

import pytest
import torch

from mngac.models.files import Architecture, architecture_of, load_classifier, save_classifier
from mngac.params.errors import ParamsError

NETS = """
import torch
from torch import nn

def flat(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(channels * size * size, classes))

def raising(classes, channels, size):
    raise OSError("no weights\\nhere")

def wrong_arguments(name):
    return None

def no_module(classes, channels, size):
    return classes

def no_logits(classes, channels, size):
    return nn.Flatten()

def no_tensor(classes, channels, size):
    class Pair(nn.Module):
        def forward(self, x):
            return x, x
    return Pair()

def whole(classes, channels, size):
    class Whole(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :10].round().long()
    return Whole()

def pairs(classes, channels, size):
    class Pairs(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, : 10 if len(x) == 2 else 9]
    return Pairs()

def no_images(classes, channels, size):
    return nn.Linear(3, classes)
"""


@pytest.fixture(scope="module", autouse=True)
def _package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("path")
    (folder / "nets_of_mine.py").write_text(NETS)
    (folder / "nets_that_raise.py").write_text("import not_there_at_all\n\ndef flat(classes, channels, size): ...\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


def built(name, module="nets_of_mine"):
    return Architecture(f"{module}:{name}", 10, 1, 8)


def test_it_is_built_in_train_mode_from_the_global_generator_and_told_other_images_apart():
    torch.manual_seed(0)
    first, after = built("flat").build(), torch.rand(1)
    torch.manual_seed(0)
    plain = torch.nn.Linear(64, 10)
    assert first.training and torch.equal(first[2].weight, plain.weight) and torch.equal(after, torch.rand(1))
    with pytest.raises(ValueError, match=r"nets_of_mine:flat was built for images of shape \(batch, 1, 8, 8\)"):
        first(torch.rand(2, 1, 4, 4))


def test_its_file_names_it_and_is_enough_to_open_it(tmp_path):
    classifier = built("flat").build().eval()
    save_classifier(tmp_path / "c.safetensors", classifier, built("flat"))
    assert architecture_of(tmp_path / "c.safetensors") == built("flat")
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(load_classifier(tmp_path / "c.safetensors", "cpu")(x), classifier(x))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "raising",
            r"nets_of_mine:raising\(classes=10, channels=1, size=8\): raised OSError: no weights here in .*, line",
        ),
        ("wrong_arguments", r"wrong_arguments\(name\); allowed: a function of \(classes, channels, size\)"),
        ("no_module", "found int; allowed: a torch.nn.Module"),
        ("no_logits", r"on images \(2, 1, 8, 8\): found logits \(2, 64\); allowed: logits \(2, 10\)"),
        ("no_tensor", r"found tuple; allowed: logits \(2, 10\)"),
        ("whole", r"found logits of torch\.int64; allowed: of floating point"),
        ("pairs", r"on images \(3, 1, 8, 8\): found logits \(3, 9\); allowed: logits \(3, 10\)"),
        ("no_images", r"on images \(2, 1, 8, 8\): raised RuntimeError"),
        ("absent", "allowed: a function that"),
    ],
)
def test_one_that_does_not_fit_is_refused_in_one_line(name, said):
    with pytest.raises(ParamsError, match=said) as error:
        built(name).build()
    assert "\n" not in str(error.value)


def test_a_module_that_can_not_be_imported_is_refused_in_one_line():
    with pytest.raises(ParamsError, match=r"^nets_that_raise:flat: importing it raised ModuleNotFoundError: No module"):
        built("flat", "nets_that_raise").build()
