"""Images averaged in squares: to the number, as Pillow does it, and with balls that go where they are said to go."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import raw_params
from PIL import Image

from mngac.data import store
from mngac.data.prepare import prepare
from mngac.data.reduction import averaged
from mngac.params.checks import entry
from mngac.params.errors import DataError
from mngac.pipeline.progress import Log


def drawn(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("shape", "factor"), [((1030, 3, 4, 4), 2), ((3, 1, 9, 9), 3), ((2, 3, 8, 8), 8)])
def test_each_square_becomes_its_mean_rounded_half_up(shape, factor):
    images = drawn(*shape)
    small = averaged(images, factor)
    assert small.dtype == torch.uint8 and small.shape[2] == shape[2] // factor
    for n, c, i, j in ((0, 0, 0, 0), (shape[0] - 1, shape[1] - 1, small.shape[2] - 1, small.shape[3] - 1)):
        square = images[n, c, i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
        assert small[n, c, i, j] == int(square.double().mean().item() + 0.5)


def test_pillow_reduces_to_the_same():
    images = drawn(20, 3, 32, 32)
    for image, small in zip(images.numpy(), averaged(images, 2).numpy(), strict=True):
        theirs = Image.fromarray(image.transpose(1, 2, 0)).reduce(2)
        assert np.array_equal(np.asarray(theirs).transpose(2, 0, 1), small)


def test_balls_go_where_they_are_said_to_go():
    """Every perturbation is averaged into the small ball, and one that is constant on squares to its border."""
    draws = torch.Generator().manual_seed(1)
    free = torch.randn(200, 3, 8, 8, generator=draws, dtype=torch.float64)
    on_squares = free[..., ::2, ::2].repeat_interleave(2, -1).repeat_interleave(2, -2)
    mean = torch.nn.AvgPool2d(2)
    for order, times in ((float("inf"), 1), (2, 2), (1, 4)):

        def length(x, order=order):
            return x.flatten(1).norm(order, 1)

        assert (length(mean(free)) <= length(free) / times + 1e-12).all()
        assert torch.allclose(length(mean(on_squares)), length(on_squares) / times)


def test_sides_that_can_not_be_divided_are_refused(tmp_path):
    with pytest.raises(ValueError, match="found 4, images of 9x8 pixels; allowed: a divisor of both"):
        averaged(drawn(1, 1, 8, 9), 4)
    given = {**raw_params()["data"]["digits"], "reduce": 3}
    with pytest.raises(DataError, match=r"data\.digits\.reduce: found 3, images of 8x8 pixels"):
        prepare("digits", entry("digits", given), tmp_path / "file", tmp_path, Log())
    assert not (tmp_path / "file").exists()


def test_every_split_of_a_data_set_is_reduced_and_keeps_its_labels(tmp_path):
    given = {**raw_params()["data"]["digits"], "test_images": 50}
    whole = prepare("digits", entry("digits", given), tmp_path / "whole", tmp_path, Log())
    small = prepare("digits", entry("digits", {**given, "reduce": 2}), tmp_path / "small", tmp_path, Log())
    for name, split in whole.items():
        assert torch.equal(small[name].images, averaged(split.images, 2))
        assert torch.equal(small[name].labels, split.labels) and torch.equal(small[name].index, split.index)
    assert store.load(Path(tmp_path / "small")).shape == (1, 4, 4)
