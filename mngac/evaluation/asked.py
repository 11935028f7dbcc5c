"""Whom attacks ask in a classifier's place: the same but for rounding, and cheaper.

What they find is judged on the classifier itself (mngac/evaluation/acceptance.py): what another classifier would be
broken by counts for nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from mngac.attacks.pgd import Classifier
from mngac.models.compiled import compile_forward
from mngac.models.folded import folded

IMAGES = 8
"""Images, the first ones of an evaluation, on which a cheaper classifier is compared with the classifier."""


def asked(classifier: Classifier, x: Tensor, compiled: bool, tell: Callable[[str], None]) -> Classifier:
    """The classifier with its batch norms folded, and compiled where that is wanted; or the classifier itself.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images to compare both on.
        compiled: whether the pass goes through torch.compile, which takes minutes for a large network.
        tell: is told in one line what prevents compilation, where something does.
    """
    cheaper = folded(classifier, x)
    if not compiled:
        return cheaper or classifier
    if not isinstance(classifier, nn.Module):
        tell(f"{type(classifier).__name__} in place of a torch.nn.Module")
        return classifier
    cheaper = cheaper or copy.deepcopy(classifier)
    compile_forward(cheaper, "channels_last", tell, sizes_vary=True)
    return cheaper
