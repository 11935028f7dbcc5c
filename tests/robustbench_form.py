"""RobustBench's WideResNet as far as a strict load needs it: its layer names, sizes and pass, written anew."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Names bn1, relu1, conv1, bn2, relu2, conv2, convShortcut; where the width changes, the shortcut sees relu1."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(outputs), nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.convShortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(active)
        return shortcut + self.conv2(self.relu2(self.bn2(self.conv1(active))))


class Stage(nn.Module):
    """Blocks under the name `layer`."""

    def __init__(self, count: int, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.layer = nn.Sequential(
            *[Block(outputs if i else inputs, outputs, 1 if i else stride) for i in range(count)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class WideResNet(nn.Module):
    """Names conv1, block1 to block3, bn1, relu, fc; takes 3 x 32 x 32 images, whose last map is averaged over 8 x 8."""

    def __init__(self, depth: int, widen_factor: int, num_classes: int):
        super().__init__()
        count, wide = (depth - 4) // 6, widen_factor
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = Stage(count, 16, 16 * wide, 1)
        self.block2 = Stage(count, 16 * wide, 32 * wide, 2)
        self.block3 = Stage(count, 32 * wide, 64 * wide, 2)
        self.bn1, self.relu = nn.BatchNorm2d(64 * wide), nn.ReLU()
        self.fc = nn.Linear(64 * wide, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.block3(self.block2(self.block1(self.conv1(x))))))
        return self.fc(torch.nn.functional.avg_pool2d(out, 8).flatten(1))
