"""ResNet of basic blocks, as a stem and a row of stages that can be run one at a time.

Parameters carry timm's names (`conv1, bn1, layer1.0.conv1, ..., downsample.0`), so that published weights load as they
are; widths and depths are free, so that the same code is also the smallest of trunks.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

RESNET34_WIDTHS = (64, 128, 256, 512)
RESNET34_DEPTHS = (3, 4, 6, 3)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Features of the next block."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu_(self.bn1(self.conv1(x)))
        return functional.relu_(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """A ResNet without its classifier: `stem` halves twice, `stage(0)` keeps the size, each later stage halves."""

    def __init__(
        self,
        *,
        channels: int,
        widths: tuple[int, ...] = RESNET34_WIDTHS,
        depths: tuple[int, ...] = RESNET34_DEPTHS,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        width_in = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            strides = [1 if number == 0 else 2] + [1] * (depth - 1)
            widths_in = [width_in] + [width] * (depth - 1)
            blocks = [BasicBlock(w, width, stride) for w, stride in zip(widths_in, strides, strict=True)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
            width_in = width
        self.apply(_initialise)

    def stem(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Features at a quarter of the resolution."""
        # the larger of two is positive where one is: the pool may come first, and leaves a quarter to do
        return functional.relu_(functional.max_pool2d(self.bn1(self.conv1(x)), 3, 2, 1))

    def stage(self, number: int, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Features of stage `number`, from 0, made of those before it."""
        return self.get_submodule(f"layer{number + 1}")(x)


def _initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions, and blocks that start as their shortcut, as timm does."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, BasicBlock):
        nn.init.zeros_(module.bn2.weight)
