"""Planners: from images and status to a plan; one file a planner."""

from simscale.planners.checkpoint import CheckpointInfo, Origin, read_checkpoint, read_info, write_checkpoint
from simscale.planners.ltf import Ltf, LtfConfig, LtfOutput
from simscale.planners.ltf_loss import LtfLoss, LtfLossConfig, LtfTargets, ltf_loss
from simscale.planners.planning import Observations, plan
from simscale.planners.published import read_published
from simscale.planners.registry import PLANNERS, PlannerKind, unit_rgb

__all__ = [
    "PLANNERS",
    "CheckpointInfo",
    "Ltf",
    "LtfConfig",
    "LtfLoss",
    "LtfLossConfig",
    "LtfOutput",
    "LtfTargets",
    "Observations",
    "Origin",
    "PlannerKind",
    "ltf_loss",
    "plan",
    "read_checkpoint",
    "read_info",
    "read_published",
    "unit_rgb",
    "write_checkpoint",
]
