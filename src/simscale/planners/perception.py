"""What LTF and DiffusionDrive have in common: everything between the cameras and the plan.

The trunk (trunk.py) turns the stitched cameras into a bird's-eye view. Its cells and the car's status are the memory of
a small transformer decoder, which is asked 1 + 30 questions: where shall I drive, and where are the 30 nearest
vehicles. Another head paints a semantic map from the bird's-eye features. What becomes of the first answer is each
planner's own.

Agrees with `TransfuserModel` of the reference (planners.md, section 2) to the parameter's name.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from simscale.planners.trunk import Trunk, TrunkConfig, tokens_of

STATUS = 8
"""Command (left, straight, right, unknown), velocity (forward, left) in m/s, acceleration in m/s^2."""
POSE = 3
"""x, y in metres, heading in radians, in the ego frame."""
BOX = 5
"""x, y, heading, length, width."""


@dataclass(frozen=True, kw_only=True)
class PerceptionConfig:
    """Sizes; the defaults are the reference's."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    width: int = 256  # of tokens and queries
    hidden: int = 1024  # of the decoder's and the heads' MLPs
    decoder_layers: int = 3
    decoder_heads: int = 8
    decoder_dropout: float = 0.0
    poses: int = 8  # of the plan
    pose_interval: float = 0.5  # s
    agents: int = 30
    agent_range: float = 32.0  # a predicted agent lies within +- this, m
    bev_map_size: tuple[int, int] = (128, 256)  # rows (forward), columns (left) of the semantic map
    bev_classes: int = 7


@dataclass(frozen=True, kw_only=True)
class PerceptionOutput:
    """What a planner says of `b` samples."""

    trajectory: Float[Tensor, "b t 3"]  # x, y, heading at 0.5, 1.0, ... s in the ego frame
    agent_states: Float[Tensor, "b a 5"]  # x, y, heading, length, width
    agent_labels: Float[Tensor, "b a"]  # logit of being there
    bev_semantic: Float[Tensor, "b k h w"]  # logits of the classes


NANO_TRUNK = TrunkConfig(
    image_size=(64, 256),
    bev_size=64,
    widths=(16, 32, 64, 128),
    depths=(1, 1, 1, 1),
    image_tokens=(2, 8),
    bev_tokens=(4, 4),
    fusion_layers=1,
    dropout=0.0,
    neck_width=32,
    position_std=0.5,
    linear_std=None,
)
"""A trunk for one CPU (ours). Without dropout a step draws no random numbers; fusion layers that start larger than the
reference's learn from the first steps on, all that a short training has."""

TINY_TRUNK = replace(
    NANO_TRUNK,
    image_size=(128, 512),
    bev_size=128,
    widths=(32, 64, 128, 256),
    depths=(2, 2, 2, 2),
    image_tokens=(4, 16),
)
"""A trunk for a patient CPU (ours), between NANO_TRUNK and the reference's."""


class AgentHead(nn.Module):
    """A box and the logit of its presence from each further query."""

    def __init__(self, config: PerceptionConfig):
        super().__init__()
        self.range = config.agent_range
        self._mlp_states = nn.Sequential(
            nn.Linear(config.width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, BOX)
        )
        self._mlp_label = nn.Sequential(nn.Linear(config.width, 1))

    def forward(self, query: Float[Tensor, "b a c"]) -> tuple[Float[Tensor, "b a 5"], Float[Tensor, "b a"]]:
        """Boxes and logits."""
        states = self._mlp_states(query)
        xy, heading, size = states[..., :2].tanh() * self.range, states[..., 2:3].tanh() * math.pi, states[..., 3:]
        return torch.cat([xy, heading, size], dim=-1), self._mlp_label(query).squeeze(-1)


class Perception(nn.Module):
    """The common part; a planner adds its head."""

    _map_rows: Tensor
    _map_columns: Tensor

    def __init__(self, config: PerceptionConfig):
        super().__init__()
        self.config = config
        width, trunk = config.width, config.trunk
        self._backbone = Trunk(trunk)
        self._keyval_embedding = nn.Embedding(trunk.fused_size**2 + 1, width)
        self._query_embedding = nn.Embedding(1 + config.agents, width)
        self._bev_downscale = nn.Conv2d(trunk.widths[-1], width, 1)
        self._status_encoding = nn.Linear(STATUS, width)
        self._bev_semantic_head = nn.Sequential(
            nn.Conv2d(trunk.neck_width, trunk.neck_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(trunk.neck_width, config.bev_classes, 1),
        )
        layer = nn.TransformerDecoderLayer(
            width, config.decoder_heads, config.hidden, config.decoder_dropout, batch_first=True
        )
        self._tf_decoder = nn.TransformerDecoder(layer, config.decoder_layers)
        self._agent_head = AgentHead(config)
        rows, columns = (_enlarging(trunk.neck_size, size) for size in config.bev_map_size)
        self.register_buffer("_map_rows", rows, persistent=False)
        self.register_buffer("_map_columns", columns, persistent=False)

    def memory(self, fused: Float[Tensor, "b c f f"], status: Float[Tensor, "b 8"]) -> Float[Tensor, "b n d"]:
        """What the decoder looks at: the cells of the bird's-eye view, row by row, then the status."""
        cells = tokens_of(self._bev_downscale(fused))
        return torch.cat([cells, self._status_encoding(status)[:, None]], dim=1) + self._keyval_embedding.weight

    def answers_from(self, memory: Float[Tensor, "b n d"]) -> Float[Tensor, "b q d"]:
        """What the decoder answers to each query: the plan's first, then the agents'."""
        return self._tf_decoder(self._query_embedding.weight.expand(len(memory), -1, -1), memory)

    def answers(self, fused: Float[Tensor, "b c f f"], status: Float[Tensor, "b 8"]) -> Float[Tensor, "b q d"]:
        """... from the trunk's last features and the status."""
        return self.answers_from(self.memory(fused, status))

    def painted(self, neck: Float[Tensor, "b d s s"]) -> Float[Tensor, "b k h w"]:
        """Logits of the semantic map. Few channels are made larger faster by two products than by `resized`."""
        return (self._map_rows @ self._bev_semantic_head(neck)) @ self._map_columns.mT


def _enlarging(size: int, larger: int) -> Float[Tensor, "larger size"]:
    """What makes a row of cells longer, bilinear as `resized`."""
    return functional.interpolate(torch.eye(size)[None], larger, mode="linear", align_corners=False)[0].mT.contiguous()
