"""WideResNet of any depth and width, with the layer names of the paper's code, TRADES and RobustBench."""

from __future__ import annotations

from torch import Tensor, nn

from mngac.models.activations import Activation, named, relu
from mngac.models.pooling import average_pool
from mngac.params.errors import ParamsError

NAMES = r"wrn_\d{1,3}_\d{1,3}(_softplus)?"
EXAMPLE = "wrn_28_10"


class BasicBlock(nn.Module):
    """Pre-activation block: two 3x3 convolutions; a 1x1 shortcut where the shape changes."""

    normed = {"conv1": "bn2"}  # noqa: RUF012
    """Convolutions whose output goes to a batch norm alone, which takes it over where attacks ask in eval mode."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation = relu):
        super().__init__()
        self.activation = activation
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        self.convShortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        active = self.activation(self.bn1(x))
        out = self.conv2(self.activation(self.bn2(self.conv1(active))))
        return out.add_(x if self.convShortcut is None else self.convShortcut(active))


class NetworkBlock(nn.Module):
    """A stage of blocks of one width, the first with the stride."""

    def __init__(self, blocks: int, inputs: int, outputs: int, stride: int, activation: Activation):
        super().__init__()
        sizes = [(inputs, stride)] + [(outputs, 1)] * (blocks - 1)
        self.layer = nn.Sequential(*[BasicBlock(i, outputs, s, activation) for i, s in sizes])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        return self.layer(x)


class WideResNet(nn.Module):
    """WRN-depth-width (Zagoruyko and Komodakis 2016): depth = 6 n + 4; global average pooling at any image size.

    Args:
        depth: 10, 16, 22, 28, ...
        width: widening factor; stages have 16, 32 and 64 times as many channels.
        classes: number of logits.
        channels: of the image, 1 or 3.
        activation: in the blocks.

    Raises:
        ParamsError: for a depth that is not 6 n + 4.
    """

    def __init__(self, depth: int, width: int, classes: int, channels: int = 3, activation: Activation = relu):
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ParamsError(f"WRN depth: found {depth}; allowed: 6 n + 4, such as 10, 16, 28")
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, padding=1, bias=False)
        self.block1 = NetworkBlock(blocks, 16, 16 * width, 1, activation)
        self.block2 = NetworkBlock(blocks, 16 * width, 32 * width, 2, activation)
        self.block3 = NetworkBlock(blocks, 32 * width, 64 * width, 2, activation)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5)
        nn.init.zeros_(self.fc.bias)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (batch, 64 width)."""
        out = self.block3(self.block2(self.block1(self.conv1(x))))
        return average_pool(relu(self.bn1(out)))

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1] (batch, channels, height, width) -> logits (batch, classes)."""
        return self.fc(self.features(x))


def build(name: str, classes: int, channels: int, size: int) -> nn.Module:
    """The model called `wrn_<depth>_<width>`, or `wrn_<depth>_<width>_softplus`.

    Raises:
        ParamsError: for a depth that is not 6 n + 4.
    """
    base, activation = named(name)
    _, depth, width = base.split("_")
    return WideResNet(int(depth), int(width), classes, channels, activation)
