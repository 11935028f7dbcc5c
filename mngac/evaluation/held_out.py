"""Whether a classifier withstands attacks on the very images that it is judged by better than on others of their kind.

One that gives every neighbour of a remembered test image that image's label is, on these images, as robust as it says:
no attack on them can tell. Images that it has not seen can.
"""

from __future__ import annotations

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.loop import evaluate
from mngac.params.sections import Radii, Suite
from mngac.results.intervals import wilson

IMAGES = 64
"""Images of each kind that are attacked, the first ones."""
LEVEL = 0.99
"""Of the intervals that must not meet: two of this level do so by chance in fewer than one of a thousand pairs."""

Labelled = tuple[Tensor, Tensor]
"""Images uint8 (n, channels, height, width), or float in [0, 1], and labels int64 (n,)."""


def remembered(
    classifier: Classifier, test: Labelled, held_out: Labelled, suite: Suite, radii: Radii, device: str = "cpu"
) -> list[str]:
    """A red flag where test images withstand attacks that held-out images do not.

    A classifier that was trained on the held-out images, as a stranger's may be, does better on these: that is no flag.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        test: the images that the classifier is judged by.
        held_out: others of the same kind.
        suite: whose first attack in each norm is run.
        radii: of the balls.
        device: where batches are put.
    """
    attacks = [next(a for a in suite.attacks if a.norm == norm) for norm in suite.norms]
    first = suite.model_copy(update={"attacks": attacks})
    shares = []
    for images, labels in (test, held_out):
        few = images[:IMAGES], labels[:IMAGES]
        shares.append(evaluate(classifier, *few, first, radii, device=device).union())
    (low, _), (_, high) = (wilson(sum(correct), len(correct), LEVEL) for correct in shares)
    if low <= high:
        return []
    said = [f"{100 * sum(correct) / len(correct):.1f} % of {len(correct)}" for correct in shares]
    return [f"test images withstand attacks that held-out images do not: {said[0]} test images, {said[1]} others"]
