"""Brendel-Bethge, on its own: numba compiles it for a minute, so it runs only where MNGAC_SLOW is set."""

import os

import pytest
from evaluation_helpers import RADII, digits, suite, trained

from mngac.evaluation.loop import evaluate

pytestmark = pytest.mark.skipif("MNGAC_SLOW" not in os.environ, reason="a minute of compiling: set MNGAC_SLOW=1")


def test_an_image_does_not_depend_on_its_batch_and_valid_images_are_found():
    x, y = digits()
    together = evaluate(trained(), x, y, suite("brendel_bethge l2", batch_size=40), RADII).attacks[0]
    apart = evaluate(trained(), x, y, suite("brendel_bethge l2", batch_size=7), RADII).attacks[0]
    assert together.correct == apart.correct
    assert together.correct.count("0") >= 1
    assert together.rejected == 0
