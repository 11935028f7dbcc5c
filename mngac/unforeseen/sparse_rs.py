"""Sparse-RS: random search over which pixels to set to a corner of the colour cube (Croce et al. 2022, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.until_broken import EVERY
from mngac.shapes import Images, Labels

FIRST_SHARE = 0.3
"""Of the pixels, those that the first step exchanges;"""
SHARES = ((50, 2), (200, 4), (500, 5), (1000, 6), (2000, 8), (4000, 10), (6000, 12), (8000, 15), (10000, 20))
"""and the share's divisor up to each of these of 10,000 queries, scaled to the number that is made."""


class Painted:
    """Images with some pixels set: places int64 (batch, pixels), colours 0 or 1 (batch, channels, pixels)."""

    def __init__(self, x: Tensor, places: Tensor, colours: Tensor):
        self.x, self.places, self.colours = x, places, colours

    @property
    def images(self) -> Tensor:
        """(batch, channels, height, width)."""
        return self.x.flatten(2).scatter(2, _all_channels(self.places, self.x), self.colours).view_as(self.x)

    def exchanged(self, count: int, generator: torch.Generator) -> Painted:
        """So many of each image's pixels give way to others, of random colours."""
        batch, channels, pixels = self.colours.shape
        leaving = _random((batch, pixels), self.x, generator).topk(count).indices
        taken = torch.zeros(batch, self.x[0, 0].numel(), device=self.x.device).scatter(1, self.places, 2)
        coming = (_random(tuple(taken.shape), self.x, generator) - taken).topk(count).indices
        colours = _random((batch, channels, count), self.x, generator).round()
        return Painted(
            self.x,
            self.places.scatter(1, leaving, coming),
            self.colours.scatter(2, _all_channels(leaving, self.x), colours),
        )

    def where(self, chosen: Tensor, other: Painted) -> Painted:
        """These images where chosen, bool (batch,), and the other's elsewhere."""
        places = torch.where(chosen[:, None], self.places, other.places)
        return Painted(self.x, places, torch.where(chosen[:, None, None], self.colours, other.colours))

    def kept(self, rows: Tensor) -> Painted:
        """Some of the images."""
        return Painted(self.x[rows], self.places[rows], self.colours[rows])


def _all_channels(places: Tensor, x: Tensor) -> Tensor:
    return places[:, None].expand(-1, x.shape[1], -1)


def _random(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform in [0, 1), drawn on the host so that every device gets the same."""
    return torch.rand(shape, generator=generator).to(like.device)


@torch.no_grad()
def sparse_rs(
    classifier: Classifier, x: Images, y: Labels, pixels: int, queries: int, generator: torch.Generator
) -> Images:
    """Images that differ from x in at most so many pixels: where one was found, one that is misclassified.

    Args:
        classifier: images in [0, 1] -> logits.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        pixels: that may be set; no more than an image has.
        queries: passes of an image that withstands them all.
        generator: of the search, on the CPU; what an image meets depends on the others of its batch.
    """
    found, whole = x.clone(), torch.arange(len(x), device=x.device)
    area = x[0, 0].numel()
    places = _random((len(x), area), x, generator).topk(min(pixels, area)).indices
    colours = _random((len(x), x.shape[1], places.shape[1]), x, generator).round()
    best = Painted(x, places, colours)
    lead = _lead(classifier(best.images), y)
    for query in range(1, queries):
        if query % EVERY == 1:  # a look at who is broken waits for the device
            found[whole] = best.images
            left = (lead > 0).nonzero().flatten()
            whole, best, lead = whole[left], best.kept(left), lead[left]
            if not len(whole):
                return found
        tried = best.exchanged(min(_exchanged(query, queries, places.shape[1]), area - places.shape[1]), generator)
        ahead = _lead(classifier(tried.images), y[whole])
        best, lead = tried.where(ahead < lead, best), torch.minimum(ahead, lead)
    found[whole] = best.images
    return found


def _lead(logits: Tensor, y: Tensor) -> Tensor:
    """By how much the label's logit is above all others."""
    return logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)


def _exchanged(query: int, queries: int, pixels: int) -> int:
    """Pixels that a step exchanges: fewer and fewer, at least one."""
    divisor = next(divisor for last, divisor in SHARES if 10000 * query <= last * queries)
    return max(1, int(FIRST_SHARE / divisor * pixels))
