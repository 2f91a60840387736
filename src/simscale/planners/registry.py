"""The planners by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import nn

from simscale.planners import diffusiondrive, gtrs, ltf
from simscale.planners.diffusiondrive_loss import DiffusionDriveLossConfig, diffusiondrive_loss
from simscale.planners.gtrs_loss import GtrsLossConfig, gtrs_loss
from simscale.planners.ltf_loss import LtfLossConfig, ltf_loss


@dataclass(frozen=True, kw_only=True)
class PlannerKind:
    """One planner: how it is built, taught, and in which sizes it comes."""

    build: Callable[..., nn.Module]  # (config, *, seed: int)
    loss: Callable[..., Any]  # (output, targets, *, config) -> an object with `total` and named terms
    loss_config: Any  # the reference's; has `with_auxiliary(share)`
    presets: Mapping[str, Any]  # configurations by name
    outputs: tuple[str, ...] = ()  # layers whose outputs are the planner's, for optimisers that treat them apart
    trace: str = ""  # part of a weight's name that no other planner has: published checkpoints are recognised by it
    prefix: str = "agent._transfuser_model."  # what published checkpoints put before the names of the weights
    vocabulary: str = ""  # name of the weight that holds its fixed trajectories, where it has some
    fitted: Callable[[Any, Mapping[str, tuple[int, ...]]], Any] | None = None  # (preset, shapes of weights) -> a
    #   configuration with what the weights alone decide, such as the size of a vocabulary; None: nothing
    seeded: bool = False  # inference draws noise: the model takes `seed`
    chooses: bool = False  # from its vocabulary, which `use_vocabulary` replaces; it is taught `GtrsTargets`


PLANNERS: dict[str, PlannerKind] = {
    "ltf": PlannerKind(
        build=ltf.build,
        loss=ltf_loss,
        loss_config=LtfLossConfig(),
        presets={
            "nano": ltf.NANO,
            "tiny": ltf.TINY,
            "navsim": ltf.PUBLISHED_NAVSIM,
            "base256": ltf.PUBLISHED_NAVSIM,
            "simscale": ltf.PUBLISHED_SIMSCALE,
            "navsim_lidar": ltf.PUBLISHED_TRANSFUSER,
        },
        outputs=(
            "_trajectory_head._mlp.2",
            "_agent_head._mlp_states.2",
            "_agent_head._mlp_label.0",
            "_bev_semantic_head.2",
        ),
        trace="_trajectory_head._mlp.",
    ),
    "diffusiondrive": PlannerKind(
        build=diffusiondrive.build,
        loss=diffusiondrive_loss,
        loss_config=DiffusionDriveLossConfig(),
        presets={
            "nano": diffusiondrive.NANO,
            "tiny": diffusiondrive.TINY,
            "base256": diffusiondrive.BASE256,
            "simscale": diffusiondrive.PUBLISHED_SIMSCALE,
            "hustvl_lidar": diffusiondrive.PUBLISHED_LIDAR,
        },
        outputs=diffusiondrive.OUTPUTS,
        trace="plan_anchor",
        vocabulary="_trajectory_head.plan_anchor",
        seeded=True,
    ),
    "gtrs": PlannerKind(
        build=gtrs.build,
        loss=gtrs_loss,
        loss_config=GtrsLossConfig(),
        presets={
            "nano": gtrs.NANO,
            "tiny": gtrs.TINY,
            "base256": gtrs.BASE256,
            "simscale": gtrs.SIMSCALE,
            "simscale_v99": gtrs.SIMSCALE_V99,
            "nvlabs_v99": gtrs.NVLABS_V99,
            "hydra_mdp_v99": gtrs.HYDRA_MDP,
        },
        outputs=gtrs.OUTPUTS,
        trace="_trajectory_head.vocab",
        prefix="agent.model.",
        vocabulary="_trajectory_head.vocab",
        fitted=gtrs.fitted,
        chooses=True,
    ),
}


def unit_rgb(rgb: Shaped[torch.Tensor, "b 3 h w"]) -> Shaped[torch.Tensor, "b 3 h w"]:
    """Images as planners read them: float32 in [0, 1], with no other normalisation."""
    return rgb.float().div_(255.0) if rgb.dtype == torch.uint8 else rgb.float()
