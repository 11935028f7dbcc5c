"""Archives of corrupted images: read in pieces, refused in one line where they are of another form."""

import numpy as np
import pytest
import torch
from corrupted_archives import darkened, packed
from evaluation_helpers import RADII
from torch import nn

from mngac.params.errors import DataError
from mngac.params.unforeseen import Unforeseen
from mngac.unforeseen.corrupted import Corrupted
from mngac.unforeseen.loop import measure

SHAPE = (1, 8, 8)


class Brightness(nn.Module):
    """Of class 1 where the mean pixel is above a half."""

    def forward(self, x):
        above = x.flatten(1).mean(1) - 0.5
        return torch.stack([-above, above], 1)


def entry(source, *, n=None, batch_size=4, corruptions=("fog", "snow")):
    attack = {"attack": "corruptions", "corruptions": list(corruptions), "sources": {"tiny": str(source)}}
    return Unforeseen.model_validate({"attacks": [attack], "batch_size": batch_size, "n": n, "seed": 0})


def measured(source, dataset="tiny", **given):
    images = torch.zeros(3, *SHAPE, dtype=torch.uint8)
    labels = torch.zeros(3, dtype=torch.int64)
    return measure(Brightness(), images, labels, entry(source, **given), RADII, dataset, 2).attacks[0]


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz"])
def test_the_accuracy_is_the_mean_over_corruptions_and_severities(tmp_path, form):
    folder = darkened(tmp_path / "c")
    source = {"folder": folder, "tar": packed(folder), "tar.gz": packed(folder, "w:gz")}[form]
    found = measured(source)
    assert list(found.columns) == [f"{name} {severity}" for name in ("fog", "snow") for severity in range(1, 6)]
    assert found.columns["fog 2"] == "111111" and found.columns["fog 3"] == "010101", "fog makes dark images bright"
    assert found.columns["snow 5"] == "111111"
    assert found.severities == {"1": 100.0, "2": 100.0, "3": 75.0, "4": 75.0, "5": 75.0}
    assert found.share == pytest.approx(85.0) and found.n == 6 and found.forwards == 60
    assert found.budget == "2 corruptions, mean"


def test_the_interval_of_a_mean_is_over_images(tmp_path):
    """Images of class 0 have 7 of 10 columns right, those of class 1 all: the standard error by hand."""
    found = measured(darkened(tmp_path / "c"))
    deviation = np.std([0.7, 1.0] * 3, ddof=1)
    low, high = found.interval
    assert low == pytest.approx(85 - 100 * 1.959964 * deviation / np.sqrt(6)) and high == pytest.approx(
        min(100, 85 + 100 * 1.959964 * deviation / np.sqrt(6))
    )


def test_n_takes_the_first_images_of_each_severity(tmp_path):
    found = measured(darkened(tmp_path / "c"), n=3)
    assert found.n == 3 and found.columns["fog 5"] == "010"
    assert measured(darkened(tmp_path / "c"), n=99).n == 6


def test_a_data_set_without_an_archive_has_nothing_to_measure(tmp_path):
    found = measured(tmp_path / "nowhere", dataset="digits")
    assert found.columns == {} and found.share is None and found.interval is None


def spoilt(folder, what):
    """The folder with something wrong, and words that the refusal has."""
    images, labels = np.load(folder / "fog.npy"), np.load(folder / "labels.npy")
    fog, truth = folder / "fog.npy", folder / "labels.npy"
    if what == "missing":
        fog.unlink()
        return ["found no fog.npy"]
    if what == "no labels":
        truth.unlink()
        return ["found no labels.npy"]
    if what == "float":
        np.save(fog, images.astype(np.float32))
        return ["fog.npy", "float32 (30, 8, 8, 1)", "uint8 (30, 8, 8, 1)"]
    if what == "size":
        np.save(fog, images[:, :4])
        return ["fog.npy", "(30, 4, 8, 1)", "uint8 (30, 8, 8, 1)"]
    if what == "fewer":
        np.save(fog, images[:-1])
        return ["fog.npy", "(29, 8, 8, 1)", "as many as labels"]
    if what == "fortran":
        np.save(fog, np.asfortranarray(images))
        return ["fog.npy", "Fortran"]
    if what == "no array":
        fog.write_bytes(b"PK\x03\x04 something else")
        return ["fog.npy", "no array"]
    if what == "pickle":
        np.save(fog, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        return ["fog.npy", "object"]
    if what == "short":
        fog.write_bytes(fog.read_bytes()[:-100])
        return ["fog.npy", "ends too early"]
    if what == "labels out of range":
        np.save(truth, labels + 5)
        return ["labels.npy", "labels 5 to 6", "0 to 1"]
    if what == "labels not in five":
        np.save(truth, labels[:-1])
        return ["labels.npy", "(29,)", "5 m"]
    np.save(truth, labels.astype(float))
    return ["labels.npy", "float64"]


FAULTS = [
    "missing",
    "no labels",
    "float",
    "size",
    "fewer",
    "fortran",
    "no array",
    "pickle",
    "short",
    "labels out of range",
    "labels not in five",
    "labels not whole",
]


@pytest.mark.parametrize("what", FAULTS)
def test_an_archive_of_another_form_is_refused_in_one_line(tmp_path, what):
    folder = darkened(tmp_path / "c")
    words = spoilt(folder, what)
    with pytest.raises(DataError) as refused:
        archive = Corrupted(str(folder), ["fog", "snow"], SHAPE, 2)
        archive.read("fog", 5)
    text = str(refused.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_a_missing_archive_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(DataError, match="nowhere: not found"):
        measured(tmp_path / "nowhere")


def test_colours_keep_their_places(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(10) % 2)
    read, labels = Corrupted(str(tmp_path), ["fog"], (3, 8, 8), 2).read("fog", 3)
    assert (read.permute(0, 2, 3, 1).numpy() == images[4:6]).all() and labels.tolist() == [0, 1]
