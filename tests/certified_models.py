"""Small classifiers to certify: `certified_models:linear` and `certified_models:residual`, models of one's own."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def linear(classes: int, channels: int, size: int) -> nn.Module:
    """Logits W x + b: its least margin in a ball has a closed form."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))


class Residual(nn.Module):
    """What the package's models are made of: convolutions, batch norms, a shortcut, ReLUs, a sum over places."""

    def __init__(self, classes: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(4, 6, 3, 2, padding=1, bias=False)
        self.conv3 = nn.Conv2d(6, 6, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 6, 1, 2, bias=False)
        self.fc = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.conv3(F.relu(self.bn2(self.conv2(active)), inplace=True)).add_(self.shortcut(active))
        return self.fc(F.relu(out, inplace=True).sum((2, 3)) / (out.shape[2] * out.shape[3]))


def residual(classes: int, channels: int, size: int) -> nn.Module:
    """A residual network of steep logits, whose batch norms have statistics of their own."""
    network = Residual(classes, channels)
    for conv in (network.conv1, network.conv2, network.conv3):
        conv.weight.data *= 3
    for norm in (network.bn1, network.bn2):
        norm.running_mean.copy_(torch.linspace(-0.3, 0.3, norm.num_features))
        norm.running_var.copy_(torch.linspace(0.5, 2, norm.num_features))
    return network


class SortedPixels(nn.Module):
    """What nothing here bounds."""

    def __init__(self, classes: int):
        super().__init__()
        self.fc = nn.Linear(1, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1).sort(1).values[:, :1])


def sorted_pixels(classes: int, channels: int, size: int) -> nn.Module:
    """Logits of the darkest pixel."""
    return SortedPixels(classes)
