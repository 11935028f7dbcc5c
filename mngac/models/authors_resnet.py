"""The odd net of the authors' Tiny-ImageNet code, only to import their released files; train resnet_50 instead.

They call it ResNet-50. It has eight basic blocks and 11.6 M weights, normalises after each convolution, and its blocks
without a projection double their output instead of adding their input.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mngac.params.errors import ParamsError

NAMES = "authors_resnet"
EXAMPLE = "authors_resnet"


class DoublingBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; plus a 1x1 shortcut where the shape changes, else plus itself."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        self.blockConv1 = nn.Sequential(first, nn.BatchNorm2d(outputs), nn.ReLU())
        self.blockConv2 = nn.Sequential(second, nn.BatchNorm2d(outputs))
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        out = self.blockConv2(self.blockConv1(x))
        return F.relu(out + (out if self.shortcut is None else self.shortcut(x)))


class AuthorsResNet(nn.Module):
    """Four stages of two blocks; 4x4 average pooling leaves 2x2 places of a 64 px image."""

    def __init__(self, classes: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        sizes = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        for stage, (inputs, outputs, stride) in enumerate(sizes, start=1):
            blocks = nn.Sequential(DoublingBlock(inputs, outputs, stride), DoublingBlock(outputs, outputs, 1))
            self.add_module(f"layer{stage}", blocks)
        self.linear = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1] (batch, channels, 64, 64) -> logits (batch, classes)."""
        out = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return self.linear(F.avg_pool2d(out, 4).flatten(1))


def build(name: str, classes: int, channels: int, size: int) -> nn.Module:
    """The model called `authors_resnet`.

    Raises:
        ParamsError: for images that are not 64 px.
    """
    if size != 64:
        raise ParamsError(f"model: found {name!r} for {size} px; allowed: authors_resnet for 64 px")
    return AuthorsResNet(classes, channels)
