"""A classifier of normalised images, as one of images in [0, 1]: what attacks and radii are made for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mngac.shapes import Images, Logits


class Normalised(nn.Module):
    """Gives the classifier (x - mean) / std.

    Args:
        classifier: normalised images (batch, channels, height, width) -> logits.
        mean: one value, or one a channel.
        std: as the mean, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.classifier = classifier
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.train(classifier.training)

    def forward(self, x: Images) -> Logits:
        """Images in [0, 1] -> logits."""
        return self.classifier((x - self.mean) / self.std)
