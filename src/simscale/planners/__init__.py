"""Planners: from images and status to a plan; one file a planner."""

from simscale.planners.checkpoint import CheckpointInfo, read_checkpoint, read_info, read_published, write_checkpoint
from simscale.planners.ltf import Ltf, LtfConfig, LtfOutput
from simscale.planners.ltf_loss import LtfLoss, LtfLossConfig, LtfTargets, ltf_loss
from simscale.planners.registry import PLANNERS, PlannerKind, predict, unit_rgb

__all__ = [
    "PLANNERS",
    "CheckpointInfo",
    "Ltf",
    "LtfConfig",
    "LtfLoss",
    "LtfLossConfig",
    "LtfOutput",
    "LtfTargets",
    "PlannerKind",
    "ltf_loss",
    "predict",
    "read_checkpoint",
    "read_info",
    "read_published",
    "unit_rgb",
    "write_checkpoint",
]
