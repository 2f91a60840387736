"""VoVNet with squeeze-and-excitation (V2-99 by default): every block keeps the features of all its layers.

A block runs a row of 3x3 convolutions, lays what went in and what every one of them gave side by side, and mixes it
by one 1x1 convolution ("one-shot aggregation"). Channels are then weighed by what the whole image holds of them. From
the second block of a stage on, what went in is added.

Agrees with `VoVNet` V-99-eSE as the reference runs it (planners.md, section 4); parameters carry its names, slashes
and all. It was trained on images whose first channel is blue, and turns ours round.

Axes: `b` samples, `c d` channels, `h w` and `i j` rows and columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

STRIDE = 32
"""Pixels to a cell of the last stage."""


@dataclass(frozen=True, kw_only=True)
class VovConfig:
    """Sizes of the network; the defaults are V2-99's."""

    image_size: tuple[int, int] = (512, 2048)  # rows, columns of the stitched cameras, pixels
    stem_widths: tuple[int, int, int] = (64, 64, 128)
    layer_widths: tuple[int, ...] = (128, 160, 192, 224)  # channels of the convolutions within a block, by stage
    widths: tuple[int, ...] = (256, 512, 768, 1024)  # channels that a block gives
    layers: int = 5  # convolutions of a block
    blocks: tuple[int, ...] = (1, 3, 9, 3)
    frozen_norms: bool = True  # batch norms keep their statistics while training, as the reference's `norm_eval` has it
    recompute: bool = False  # run each block again on the way back: a third more time, a fraction of the memory

    @property
    def latent(self) -> bool:
        """It reads images alone."""
        return True

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the last stage: its size is rounded up, stage by stage."""
        rows, columns = self.image_size
        return -(-rows // STRIDE), -(-columns // STRIDE)


class OsaBlock(nn.Module):
    """One-shot aggregation (Lee et al. 2020, figure 2)."""

    def __init__(self, name: str, width_in: int, layer_width: int, width: int, layers: int, *, identity: bool):
        super().__init__()
        widths_in = [width_in] + [layer_width] * (layers - 1)
        self.layers = nn.ModuleList(
            _convolution(f"{name}_{number}", each, layer_width) for number, each in enumerate(widths_in)
        )
        self.concat = _convolution(f"{name}_concat", width_in + layers * layer_width, width, size=1)
        self.ese = Excitation(width)
        self.identity = identity

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Features of the next block."""
        seen = [x]
        for layer in self.layers:
            seen.append(layer(seen[-1]))
        mixed = self.ese(self.concat(torch.cat(seen, dim=1)))
        return mixed + x if self.identity else mixed


class Excitation(nn.Module):
    """Weighs channels by their mean over the image, through one layer and a piecewise linear sigmoid (eSE)."""

    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The features, weighed."""
        return x * (functional.relu6(self.fc(x.mean(dim=(2, 3), keepdim=True)) + 3.0) / 6.0)


class VovNet(nn.Module):
    """The network up to its last stage."""

    def __init__(self, config: VovConfig):
        super().__init__()
        self.config = config
        widths_in = (3, *config.stem_widths[:2])
        self.stem = nn.Sequential()
        for number, (width_in, width, stride) in enumerate(zip(widths_in, config.stem_widths, (2, 1, 2), strict=True)):
            for name, part in _convolution(f"stem_{number + 1}", width_in, width, stride=stride).named_children():
                self.stem.add_module(name, part)
        width_in = config.stem_widths[-1]
        sizes = zip(config.blocks, config.layer_widths, config.widths, strict=True)
        for stage, (blocks, layer_width, width) in enumerate(sizes, start=2):
            self.add_module(f"stage{stage}", _stage(stage, blocks, width_in, layer_width, width, config.layers))
            width_in = width
        self.apply(_initialise)

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """Features of the last stage, of an image in [0, 1]."""
        assert rgb.shape[-2:] == self.config.image_size, f"image of {tuple(rgb.shape[-2:])}: {self.config.image_size}"
        x = self.stem(rgb.flip(1))
        for stage in range(len(self.config.blocks)):
            if stage > 0:
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            for block in self.get_submodule(f"stage{stage + 2}").children():
                again = self.config.recompute and self.training and torch.is_grad_enabled()
                x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        return x

    def train(self, mode: bool = True) -> "VovNet":
        """Training, with batch norms as `frozen_norms` has them."""
        super().train(mode)
        for part in self.modules() if self.config.frozen_norms else ():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self


class VovTrunk(nn.Module):
    """The network under the name that planners' trunks give to what reads their images."""

    def __init__(self, config: VovConfig):
        super().__init__()
        self.image_encoder = VovNet(config)

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """Features of the last stage."""
        return self.image_encoder(rgb.contiguous(memory_format=torch.channels_last))


def _stage(stage: int, blocks: int, width_in: int, layer_width: int, width: int, layers: int) -> nn.Sequential:
    row = nn.Sequential()
    for number in range(blocks):
        name = f"OSA{stage}_{number + 1}"
        block = OsaBlock(name, width if number else width_in, layer_width, width, layers, identity=number > 0)
        row.add_module(name, block)
    return row


def _convolution(name: str, width_in: int, width: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, its norm and a ReLU, under the reference's names."""
    row = nn.Sequential()
    row.add_module(f"{name}/conv", nn.Conv2d(width_in, width, size, stride, size // 2, bias=False))
    row.add_module(f"{name}/norm", nn.BatchNorm2d(width))
    row.add_module(f"{name}/relu", nn.ReLU(inplace=True))
    return row


def _initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
