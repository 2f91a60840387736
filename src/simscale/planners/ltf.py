"""Latent TransFuser: from three cameras and the car's status to one plan, in one pass.

Perception (perception.py) answers where to drive and where the 30 nearest vehicles are, and paints a semantic map. A
small MLP reads the plan from the first answer. Only the plan drives the car; the rest makes the trunk learn what is
around it.

Agrees with `TransfuserModel` of the reference (planners.md, section 2) to the parameter's name: the published presets
load published weights.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from simscale.planners.perception import NANO_TRUNK, POSE, TINY_TRUNK, Perception, PerceptionConfig, PerceptionOutput
from simscale.planners.trunk import TrunkConfig


@dataclass(frozen=True, kw_only=True)
class LtfConfig(PerceptionConfig):
    """Sizes of the planner; the defaults are the reference's."""


@dataclass(frozen=True, kw_only=True)
class LtfOutput(PerceptionOutput):
    """What the planner says of `b` samples."""


PUBLISHED_NAVSIM = LtfConfig(trunk=TrunkConfig(image_size=(256, 1024)))
"""LTF as NAVSIM publishes it."""

PUBLISHED_SIMSCALE = LtfConfig(trunk=TrunkConfig(image_size=(512, 2048)))
"""LTF as SimScale publishes it: the same parameters, read at twice the resolution."""

PUBLISHED_TRANSFUSER = LtfConfig(trunk=TrunkConfig(image_size=(256, 1024), latent=False))
"""TransFuser as NAVSIM publishes it: with LiDAR."""

NANO = LtfConfig(
    trunk=NANO_TRUNK,
    width=64,
    hidden=256,
    decoder_layers=2,
    decoder_heads=4,
    agents=10,
    bev_map_size=(64, 128),
)
"""The same planner for one CPU (ours), about 1.2 million parameters."""

TINY = LtfConfig(trunk=TINY_TRUNK, width=128, hidden=512, decoder_layers=2, decoder_heads=4)
"""Between `NANO` and `PUBLISHED_NAVSIM` (ours)."""


class TrajectoryHead(nn.Module):
    """A plan from the first query."""

    def __init__(self, config: LtfConfig):
        super().__init__()
        self._mlp = nn.Sequential(
            nn.Linear(config.width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.poses * POSE)
        )

    def forward(self, query: Float[Tensor, "b c"]) -> Float[Tensor, "b t 3"]:
        """Poses; headings within half a turn."""
        poses = self._mlp(query).unflatten(-1, (-1, POSE))
        return torch.cat([poses[..., :2], poses[..., 2:].tanh() * math.pi], dim=-1)


class Ltf(Perception):
    """The planner."""

    def __init__(self, config: LtfConfig):
        super().__init__(config)
        self._trajectory_head = TrajectoryHead(config)

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        status: Float[Tensor, "b 8"],
        lidar: Float[Tensor, "b c i i"] | None = None,
    ) -> LtfOutput:
        """Plans for a batch.

        Args:
            rgb: Left, front and right camera side by side, in [0, 1].
            status: See `STATUS`; not normalised.
            lidar: Histogram of the points, for a planner whose trunk is not latent.
        """
        neck, fused = self._backbone(rgb, lidar)
        queries = self.answers(fused, status)
        agent_states, agent_labels = self._agent_head(queries[:, 1:])
        return LtfOutput(
            trajectory=self._trajectory_head(queries[:, 0]),
            agent_states=agent_states,
            agent_labels=agent_labels,
            bev_semantic=self.painted(neck),
        )


def build(config: LtfConfig, *, seed: int = 0) -> Ltf:
    """A planner with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # convolutions with few channels run a third faster on CPUs with the channels innermost
        return Ltf(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
