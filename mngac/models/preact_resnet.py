"""PreActResNet-18 (He et al. 2016b) in the form used for CIFAR-10: 3x3 stem, four stages, batch norm before pooling."""

from __future__ import annotations

from torch import Tensor, nn

from mngac.models.activations import Activation, named, relu
from mngac.models.pooling import average_pool

NAMES = "preact_resnet_18(_softplus)?"
EXAMPLE = "preact_resnet_18"


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU or softplus; a 1x1 shortcut where the shape changes."""

    normed = {"conv1": "bn2"}  # noqa: RUF012
    """Convolutions whose output goes to a batch norm alone, which takes it over where attacks ask in eval mode."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation = relu):
        super().__init__()
        self.activation = activation
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        active = self.activation(self.bn1(x))
        out = self.conv2(self.activation(self.bn2(self.conv1(active))))
        return out.add_(x if self.shortcut is None else self.shortcut(active))


class PreActResNet(nn.Module):
    """Stages of 64, 128, 256 and 512 channels, `blocks` blocks each; global average pooling at any image size."""

    def __init__(self, blocks: tuple[int, ...], classes: int, channels: int, activation: Activation = relu):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, 1, padding=1, bias=False)
        width = 64
        for stage, count in enumerate(blocks):
            outputs = 64 * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            layer = nn.Sequential()
            for stride in strides:
                layer.append(PreActBlock(width, outputs, stride, activation))
                width = outputs
            self.add_module(f"layer{stage + 1}", layer)
        self.stages = len(blocks)
        self.bn = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1] (batch, channels, height, width) -> logits (batch, classes)."""
        out = self.conv1(x)
        for stage in range(self.stages):
            out = self.get_submodule(f"layer{stage + 1}")(out)
        return self.linear(average_pool(relu(self.bn(out))))


def build(name: str, classes: int, channels: int, size: int) -> nn.Module:
    """The model called `preact_resnet_18`: images (batch, channels, h, w) in [0, 1] -> logits (batch, classes)."""
    return PreActResNet((2, 2, 2, 2), classes, channels, named(name)[1])
