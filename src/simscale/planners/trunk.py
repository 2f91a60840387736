"""The trunk that all three planners share: an image branch and a bird's-eye branch that talk after every stage.

Two ResNets run side by side. The image branch reads the stitched cameras; the bird's-eye branch reads a LiDAR
histogram or, where there is none, a learned picture (`lidar_latent`) that is the same for every sample. After each
stage both are pooled to a few tokens, a small transformer lets all tokens look at each other, and what it says is added
to both. A neck then brings the bird's-eye branch back to a quarter of its resolution.

Agrees with `TransfuserBackbone` of the reference (planners.md, section 2), whose parameter names it carries.

Axes: `b` samples, `c` channels, `h w` and `i j` rows and columns, `n` tokens.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from simscale.planners.resnet import RESNET34_DEPTHS, RESNET34_WIDTHS, ResNet

STRIDE = 32
"""Pixels to a cell of a ResNet's last stage."""
NECK_STRIDE = 4
"""Pixels of the bird's-eye input to a cell of the neck."""


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Sizes of the trunk; the defaults are the reference's."""

    image_size: tuple[int, int] = (256, 1024)  # rows, columns of the stitched cameras, pixels
    bev_size: int = 256  # side of the bird's-eye input, cells of 0.25 m
    bev_channels: int = 1
    latent: bool = True  # a learned bird's-eye input instead of LiDAR
    widths: tuple[int, ...] = RESNET34_WIDTHS  # channels of the stages, of both branches
    depths: tuple[int, ...] = RESNET34_DEPTHS  # blocks of the stages
    image_tokens: tuple[int, int] = (8, 32)  # rows, columns that the image is pooled to for the fusion
    bev_tokens: tuple[int, int] = (8, 8)
    fusion_layers: int = 2  # transformer layers after each stage
    fusion_heads: int = 4
    fusion_expansion: int = 4  # hidden width of a layer's MLP, in widths of the stage
    dropout: float = 0.1  # of embedding, attention and residual
    neck_width: int = 64
    position_std: float = 0.0  # of the fusion's position embedding before training
    linear_std: float | None = 0.02  # of the fusion's linear layers before training; None: torch's own initialisation

    @property
    def fused_size(self) -> int:
        """Side of the bird's-eye branch after the last stage, cells."""
        return self.bev_size // STRIDE

    @property
    def neck_size(self) -> int:
        """Side of the neck's output, cells."""
        return self.bev_size // NECK_STRIDE


class Attention(nn.Module):
    """Self-attention with a linear layer each for query, key and value."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Float[Tensor, "b n c"], first: int = 0) -> Float[Tensor, "b m c"]:
        """What each token from `first` on gathers from all tokens."""
        parts = self.query(x[:, first:]), self.key(x), self.value(x)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        gathered = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return functional.dropout(self.proj(gathered.transpose(1, 2).flatten(2)), self.dropout, self.training)


class FusionLayer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, width: int, config: TrunkConfig):
        super().__init__()
        hidden = config.fusion_expansion * width
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = Attention(width, config.fusion_heads, config.dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Dropout(config.dropout)
        )

    def forward(self, x: Float[Tensor, "b n c"], first: int = 0) -> Float[Tensor, "b m c"]:
        """The tokens from `first` on after one round of talk."""
        x = x[:, first:] + self.attn(self.ln1(x), first)
        return x + self.mlp(self.ln2(x))


class Fusion(nn.Module):
    """A transformer over the tokens of both branches at one stage."""

    def __init__(self, width: int, config: TrunkConfig):
        super().__init__()
        self.image_tokens, self.bev_tokens = config.image_tokens, config.bev_tokens
        self.image_count = config.image_tokens[0] * config.image_tokens[1]
        self.bev_count = config.bev_tokens[0] * config.bev_tokens[1]
        self.pos_emb = nn.Parameter(config.position_std * torch.randn(1, self.image_count + self.bev_count, width))
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*(FusionLayer(width, config) for _ in range(config.fusion_layers)))
        self.ln_f = nn.LayerNorm(width)
        if config.linear_std is not None:
            _initialise_linear(self, config.linear_std)

    def forward(
        self, image: Float[Tensor, "b c h w"], bev: Float[Tensor, "b c i j"], *, to_image: bool = True
    ) -> tuple[Float[Tensor, "b c h w"] | None, Float[Tensor, "b c i j"]]:
        """What to add to image and bird's-eye features, both at the resolution of their tokens.

        Without `to_image` the last layer leaves out the image, and None comes in its place.
        """
        tokens = self.drop(torch.cat([tokens_of(image), tokens_of(bev)], dim=1) + self.pos_emb)
        *layers, last = self.blocks
        for layer in layers:
            tokens = layer(tokens)
        tokens = self.ln_f(last(tokens, 0 if to_image else self.image_count))
        if not to_image:
            return None, cells_of(tokens, self.bev_tokens)
        image_out, bev_out = tokens.split([self.image_count, self.bev_count], dim=1)
        return cells_of(image_out, self.image_tokens), cells_of(bev_out, self.bev_tokens)


class Trunk(nn.Module):
    """Both branches, their fusion and the neck."""

    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.config = config
        if config.latent:
            self.lidar_latent = nn.Parameter(torch.randn(1, config.bev_channels, config.bev_size, config.bev_size))
        self.image_encoder = ResNet(channels=3, widths=config.widths, depths=config.depths)
        self.lidar_encoder = ResNet(channels=config.bev_channels, widths=config.widths, depths=config.depths)
        self.transformers = nn.ModuleList(Fusion(width, config) for width in config.widths)
        self.lidar_channel_to_img = nn.ModuleList(nn.Conv2d(width, width, 1) for width in config.widths)
        self.img_channel_to_lidar = nn.ModuleList(nn.Conv2d(width, width, 1) for width in config.widths)
        self.up_conv5 = nn.Conv2d(config.neck_width, config.neck_width, 3, padding=1)
        self.up_conv4 = nn.Conv2d(config.neck_width, config.neck_width, 3, padding=1)
        self.c5_conv = nn.Conv2d(config.widths[-1], config.neck_width, 1)

    def forward(
        self, rgb: Float[Tensor, "b 3 h w"], lidar: Float[Tensor, "b c i i"] | None = None
    ) -> tuple[Float[Tensor, "b d s s"], Float[Tensor, "b e f f"]]:
        """The neck's bird's-eye features [neck_width], and the last stage's [widths[-1]].

        Args:
            rgb: Stitched cameras in [0, 1], without any other normalisation.
            lidar: Histogram of the points; None where the trunk is latent.
        """
        assert rgb.shape[-2:] == self.config.image_size, f"image of {tuple(rgb.shape[-2:])}: {self.config.image_size}"
        assert (lidar is None) == self.config.latent
        # The latent is one picture: its branch runs once for all samples until the first fusion tells them apart.
        bev = self.lidar_encoder.stem(self.lidar_latent if lidar is None else lidar)
        image = self.image_encoder.stem(rgb.contiguous(memory_format=torch.channels_last))
        for number in range(len(self.config.widths)):
            image = self.image_encoder.stage(number, image)
            bev = self.lidar_encoder.stage(number, bev)
            image, bev = self._fused(number, image, bev)
        return self._neck(bev), bev

    def _fused(
        self, number: int, image: Float[Tensor, "b c h w"], bev: Float[Tensor, "_ c i j"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c i j"]]:
        pooled_image = functional.adaptive_avg_pool2d(image, self.config.image_tokens)
        pooled_bev = self.lidar_channel_to_img[number](functional.adaptive_avg_pool2d(bev, self.config.bev_tokens))
        pooled_bev = pooled_bev.expand(len(image), -1, -1, -1)
        last = number + 1 == len(self.transformers)  # nobody looks at the image afterwards
        to_image, to_bev = self.transformers[number](pooled_image, pooled_bev, to_image=not last)
        to_bev = self.img_channel_to_lidar[number](to_bev)
        if to_image is not None:
            image = image + resized(to_image, image.shape[-2:])
        return image, bev + resized(to_bev, bev.shape[-2:])

    def _neck(self, bev: Float[Tensor, "b c f f"]) -> Float[Tensor, "b d s s"]:
        x = functional.relu_(self.c5_conv(bev))
        x = functional.relu_(self.up_conv5(resized(x, (2 * bev.shape[-2], 2 * bev.shape[-1]))))
        return functional.relu_(self.up_conv4(resized(x, (self.config.neck_size, self.config.neck_size))))


def tokens_of(cells: Float[Tensor, "b c i j"]) -> Float[Tensor, "b n c"]:
    """Cells as tokens, row by row."""
    return cells.flatten(2).transpose(1, 2)


def cells_of(tokens: Float[Tensor, "b n c"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """The reverse, with the channels innermost: only then is `resized` fast."""
    return tokens.transpose(1, 2).unflatten(2, size).contiguous(memory_format=torch.channels_last)


def resized(x: Float[Tensor, "b c h w"], size: tuple[int, ...]) -> Float[Tensor, "b c i j"]:
    """Bilinear, corners not aligned; the same tensor where nothing is to do."""
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _initialise_linear(module: nn.Module, std: float) -> None:
    """As the reference: small weights, no bias."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0.0, std)
            nn.init.zeros_(part.bias)
