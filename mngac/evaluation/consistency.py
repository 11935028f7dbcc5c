"""Whether a classifier says the same of an image however it is asked, and a judge for one that does not."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mngac.attacks.pgd import Classifier
from mngac.evaluation.isolated import isolated
from mngac.shapes import Images, Logits

SAME = 1e-4
"""Share of the largest logit by which logits may differ and still be the same: far more than rounding."""
ALONE = 16
"""Images that the probe asks about one at a time."""
REPEATS = 3
"""Times that the probe asks the same again."""
NEIGHBOURS = "the logits of an image depend on the other images of its batch"


def differ(first: Logits, second: Logits) -> Tensor:
    """Which images' logits differ by more than rounding: bool (batch,); what is not finite differs from nothing."""
    scale = torch.where(first.isfinite(), first, 0).abs().amax().clamp_min(1e-12)
    return ((first - second).abs() > SAME * scale).any(1)


def in_train_mode(classifier: Classifier) -> bool:
    """Whether any module is, so that batch statistics or dropout may be at work."""
    return isinstance(classifier, nn.Module) and any(module.training for module in classifier.modules())


@torch.no_grad()
def inconsistencies(classifier: Classifier, x: Images) -> list[str]:
    """Red flags of a classifier that says other things of the same image.

    Where the same call again gives other logits, nothing else is asked: every other comparison would show the same.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images.
    """
    logits = classifier(x).float()
    if any(_unlike(logits, _again(classifier, x)) for _ in range(REPEATS)):
        return [_chance_or_state(classifier, x)]
    few = x[:ALONE]
    ways = [
        (x, _reversed, "the logits of an image depend on its place in the batch, or on what was asked before"),
        (x, _halves, NEIGHBOURS),
        (few, _with_gradients, "the logits differ where gradients are asked for"),
    ]
    if not in_train_mode(classifier):  # batch statistics of one image may not exist
        ways.insert(2, (few, _one_by_one, "an image asked for alone gets other logits than in a batch"))
    return [text for images, way, text in ways if _unlike(logits[: len(images)], way(classifier, images))]


@torch.no_grad()
def same_among_few(classifier: Classifier, x: Images, logits: Logits) -> bool:
    """Whether images of a batch, 16 at most from all over it, get the same logits without the others.

    The probe's batches may be smaller than those that a judge asks about.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        x: a batch, as it is judged.
        logits: what the classifier said of it.
    """
    apart = -(-len(x) // ALONE)
    return apart == 1 or not _unlike(logits[::apart], classifier(x[::apart]).float())


def _unlike(first: Logits, second: Logits) -> bool:
    return bool(differ(first, second).any())


def _chance_or_state(classifier: Classifier, x: Images) -> str:
    """Which of the two: torch's, numpy's and Python's global generators are seeded alike before each of two calls."""
    seeded = []
    for _ in range(2):
        with isolated(0):
            seeded.append(_again(classifier, x))
    if _unlike(*seeded):
        return "the classifier keeps a state: the same images give other logits, with the same random numbers too"
    return "the classifier is stochastic: the same images give other logits"


def _again(classifier: Classifier, x: Images) -> Logits:
    """After a question about one image, so that nobody who counts images in whole batches comes out where he was."""
    classifier(x[:1])
    return classifier(x).float()


def _halves(classifier: Classifier, x: Images) -> Logits:
    return torch.cat([classifier(half).float() for half in x.split(max(1, len(x) // 2))])


def _reversed(classifier: Classifier, x: Images) -> Logits:
    return classifier(x.flip(0)).float().flip(0)


def _one_by_one(classifier: Classifier, x: Images) -> Logits:
    """From the last image to the first, so that nobody who counts images knows which one it is."""
    return torch.cat([classifier(image).float() for image in x.flip(0).split(1)]).flip(0)


def _with_gradients(classifier: Classifier, x: Images) -> Logits:
    with torch.enable_grad():
        return classifier(x.detach().clone().requires_grad_()).detach().float()


class Unanimous:
    """Judges for a classifier that says other things of the same image: it must be asked in every way.

    Each image's logits where it gets the same class as given, in reversed order, alone, and with gradients asked for;
    NaN elsewhere, which no label is correct for. So nothing is gained by an answer that only one of the ways gets.
    """

    def __init__(self, classifier: Classifier):
        self.classifier = classifier

    @torch.no_grad()
    def __call__(self, x: Images) -> Logits:
        """Images in [0, 1] -> logits, or NaN."""
        logits = self.classifier(x).float()
        agreed = logits.isfinite().all(1)
        for other in self._others(x):
            agreed &= other.isfinite().all(1) & (other.argmax(1) == logits.argmax(1))
        return torch.where(agreed[:, None], logits, torch.nan)

    def _others(self, x: Images) -> Iterator[Logits]:
        yield _reversed(self.classifier, x)
        yield _with_gradients(self.classifier, x)
        if not in_train_mode(self.classifier):
            yield _one_by_one(self.classifier, x)
