"""ResNet-50 (He et al. 2016a) for 64 px images: torchvision's, with a 3x3 stem and no first pooling."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet50
from torchvision.models.resnet import Bottleneck

NAMES = "resnet_50"
EXAMPLE = "resnet_50"


def build(name: str, classes: int, channels: int, size: int) -> nn.Module:
    """The model called `resnet_50`: logits (batch, classes) of images (batch, channels, size, size) in [0, 1]."""
    classifier = resnet50(weights=None, num_classes=classes)
    classifier.conv1 = nn.Conv2d(channels, 64, 3, 1, padding=1, bias=False)
    classifier.maxpool = nn.Identity()
    classifier.normed = {"conv1": "bn1"}
    for block in classifier.modules():
        if isinstance(block, Bottleneck):
            block.normed = {f"conv{k}": f"bn{k}" for k in (1, 2, 3)}
            if block.downsample is not None:
                block.downsample.normed = {"0": "1"}
    return classifier
