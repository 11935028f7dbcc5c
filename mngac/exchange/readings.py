"""Stated clean accuracy against the measured one; where they differ, whether another reading of the images explains it.

A classifier that was made for images in [0, 255], for channels in the order BGR or for another normalisation is, on
images in [0, 1], another classifier: its numbers would be wrong without any attack being so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor, nn

from mngac.data.pixels import to_unit
from mngac.models.normalised import Normalised
from mngac.results.intervals import wilson

Reading = Callable[[Tensor], Tensor]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's channels, which many classifiers of colour images are normalised by."""
BATCH = 500


def stated_clean(classifier: nn.Module, images: Tensor, labels: Tensor, percent: float, usual: Tensor) -> list[str]:
    """A red flag where the stated clean accuracy is not what is measured, with the reading that explains it.

    Args:
        classifier: images in [0, 1] -> logits, on the device.
        images: uint8 (n, channels, height, width).
        labels: int64 (n,).
        percent: the clean accuracy that was stated.
        usual: float (2, channels): mean and standard deviation of the data set's channels.
    """
    measured = _correct(classifier, images, labels)
    if _agree(percent, measured, len(labels)):
        return []
    low, high = (100 * end for end in wilson(measured, len(labels)))
    found = f"{100 * measured / len(labels):.1f} % of {len(labels)} images (95 % interval {low:.1f} to {high:.1f})"
    why = _explained(*_best(classifier, images, labels, percent, usual))
    return [f"clean accuracy is stated as {percent:g} %, measured as {found}: {why}"]


def _explained(name: str, share: float, agrees: bool) -> str:
    if agrees:
        return f"the classifier seems to be made for {name}, which gives {share:.1f} %"
    return f"no other reading of the images explains it; nearest is {name}, which gives {share:.1f} %"


def _best(
    classifier: nn.Module, images: Tensor, labels: Tensor, percent: float, usual: Tensor
) -> tuple[str, float, bool]:
    """The reading whose accuracy is nearest to the stated one: name, accuracy in percent, whether both agree."""
    tried = [(name, _correct(other, images, labels)) for name, other in _others(classifier, usual)]
    name, correct = min(tried, key=lambda found: abs(100 * found[1] / len(labels) - percent))
    return name, 100 * correct / len(labels), _agree(percent, correct, len(labels))


def _others(classifier: nn.Module, usual: Tensor) -> Iterator[tuple[str, nn.Module]]:
    """Classifiers of the same weights, which take the images otherwise."""
    channels = usual.shape[1]
    inner = classifier.classifier if isinstance(classifier, Normalised) else classifier
    orders = {"": (lambda x: x), " with channels in the order BGR": (lambda x: x.flip(1))}
    scales: dict[str, nn.Module] = {"images in [0, 1]": inner, "images in [0, 255]": _Read(inner, lambda x: 255 * x)}
    scales["images normalised by the data set's mean and standard deviation"] = Normalised(inner, *usual.tolist())
    scales["images in [-1, 1]"] = Normalised(inner, [0.5], [0.5])
    if channels == 3:
        scales["images normalised by ImageNet's mean and standard deviation"] = Normalised(inner, *IMAGENET)
    if inner is not classifier:
        scales["images as --mean and --std say"] = classifier
    given = "images as --mean and --std say" if inner is not classifier else "images in [0, 1]"
    for (scale, net), (order, turned) in product(scales.items(), orders.items()):
        if (scale, order) != (given, "") and (not order or channels == 3):
            yield scale + order, _Read(net, turned).to(_device(classifier))


class _Read(nn.Module):
    """A classifier of images that are changed before it sees them."""

    def __init__(self, classifier: nn.Module, change: Reading):
        super().__init__()
        self.classifier, self.change = classifier, change
        self.train(classifier.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.change(x))


def _agree(percent: float, correct: int, n: int) -> bool:
    """Whether a stated accuracy lies in Wilson's interval of what is measured, its ends rounded."""
    low, high = (round(end, 9) for end in wilson(correct, n))
    return low <= percent / 100 <= high


@torch.no_grad()
def _correct(classifier: nn.Module, images: Tensor, labels: Tensor) -> int:
    """Clean images that are classified correctly."""
    device = _device(classifier)
    pairs = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    return sum(int((classifier(to_unit(x).to(device)).argmax(1).cpu() == y).sum()) for x, y in pairs)


def _device(classifier: nn.Module) -> torch.device:
    """Where a classifier's first tensor lies; the CPU for one that has none."""
    return next((t.device for t in [*classifier.parameters(), *classifier.buffers()]), torch.device("cpu"))


def usual_of(images: Tensor) -> Tensor:
    """Mean and standard deviation of each channel of a data set: float (2, channels).

    Args:
        images: uint8 (n, channels, height, width), at least two pixels a channel.
    """
    channels = images.float().div(255).transpose(0, 1).flatten(1)
    return torch.stack([channels.mean(1), channels.std(1).clamp_min(1e-6)])
