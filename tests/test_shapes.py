"""Shapes in signatures are checked while tests run: a wrong one is an error at the call, not a broadcast."""

import pytest
import torch
from jaxtyping import TypeCheckError

from mngac.attacks.pgd import Attack, pgd
from mngac.losses import jensen_shannon
from mngac.norms import LP

IMAGES = torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LP["l2"].project(torch.zeros(2, 16), 1.0),
        lambda: LP["l1"].add_noise(IMAGES, torch.zeros(3, 1, 4, 4), 1.0),
        lambda: jensen_shannon(torch.zeros(2, 3), torch.zeros(2, 4)),
        lambda: pgd(torch.nn.Flatten(), IMAGES, torch.zeros(3).long(), Attack("l2", 1, 1, 1), torch.Generator()),
        lambda: LP["linf"].project(IMAGES.long(), 1.0),
    ],
)
def test_a_wrong_shape_or_type_is_refused_at_the_call(wrong):
    with pytest.raises(TypeCheckError):
        wrong()
