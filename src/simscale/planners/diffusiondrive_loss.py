"""What DiffusionDrive is trained to do: name the anchor that the expert is nearest to, and move it onto the expert.

Of the twenty modes the one whose clean anchor lies nearest to the expert's drive is the right one. A focal loss asks
for its logit, and an L1 loss pulls its plan, heading included, to the expert's; the other modes' plans are free. Both
count in every layer of the decoder. Agents and map are taught as LTF's.

Agrees with `LossComputer` and `transfuser_loss` of the reference (planners.md, section 3), where all samples take part.

Axes: `b` samples, `m` modes, `t` poses, `l` decoder layers.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from simscale.planners.diffusiondrive import DiffusionDriveOutput
from simscale.planners.ltf_loss import LtfLossConfig, LtfTargets, ltf_loss, masked_mean, taking_part


@dataclass(frozen=True, kw_only=True)
class DiffusionDriveLossConfig:
    """Weights and switches; the defaults are the reference's."""

    trajectory_weight: float = 12.0  # of modes and poses together
    mode_weight: float = 10.0
    pose_weight: float = 8.0
    focal_power: float = 2.0  # how much less a mode counts that is already told well
    focal_share: float = 0.25  # of the right mode; the wrong ones have the rest
    heads: LtfLossConfig = field(default_factory=lambda: LtfLossConfig(trajectory_weight=0.0, bev_semantic_weight=14.0))
    #   of agents and map; its `legacy_mean` counts for everything
    legacy_validation: bool = False  # L1 of the chosen plan alone where the model infers, as the reference: such a loss
    #   cannot be compared with the training's

    def with_auxiliary(self, share: float) -> "DiffusionDriveLossConfig":
        """The same with this share of the weights of agents and map."""
        return replace(self, heads=self.heads.with_auxiliary(share))

    def with_legacy_mean(self) -> "DiffusionDriveLossConfig":
        """The same with `legacy_mean`."""
        return replace(self, heads=self.heads.with_legacy_mean())


@dataclass(frozen=True, kw_only=True)
class DiffusionDriveLoss:
    """The loss and its terms before they are weighted; `modes` and `poses` make `trajectory`."""

    total: Float[Tensor, ""]
    trajectory: Float[Tensor, ""]
    modes: Float[Tensor, ""]
    poses: Float[Tensor, ""]
    agent_class: Float[Tensor, ""]
    agent_box: Float[Tensor, ""]
    bev_semantic: Float[Tensor, ""]


def diffusiondrive_loss(
    output: DiffusionDriveOutput, targets: LtfTargets, *, config: DiffusionDriveLossConfig
) -> DiffusionDriveLoss:
    """The loss of a batch. A term that nobody takes part in is 0."""
    heads = ltf_loss(output, targets, config=replace(config.heads, trajectory_weight=0.0))
    imitate = taking_part(targets.imitate, output.trajectory)
    right = nearest_anchor(output.anchors, targets.trajectory)
    modes = masked_mean(_mode_error(output.mode_logits, right, config), imitate, config.heads)
    poses = masked_mean(_pose_error(output.mode_poses, right, targets.trajectory), imitate, config.heads)
    trajectory = config.mode_weight * modes + config.pose_weight * poses
    if config.legacy_validation and output.sampled:
        trajectory = heads.trajectory
    return DiffusionDriveLoss(
        total=config.trajectory_weight * trajectory + heads.total,
        trajectory=trajectory,
        modes=modes,
        poses=poses,
        agent_class=heads.agent_class,
        agent_box=heads.agent_box,
        bev_semantic=heads.bev_semantic,
    )


def nearest_anchor(anchors: Float[Tensor, "m t 2"], trajectory: Float[Tensor, "b t 3"]) -> Int[Tensor, " b"]:
    """The right mode of each sample: least mean distance over the poses."""
    return (trajectory[:, None, :, :2] - anchors).norm(dim=-1).mean(dim=-1).argmin(dim=-1)


def _mode_error(
    logits: Float[Tensor, "l b m"], right: Int[Tensor, " b"], config: DiffusionDriveLossConfig
) -> Float[Tensor, " b"]:
    """Sigmoid focal loss (Lin et al. 2017), mean over modes, summed over layers."""
    wanted = functional.one_hot(right, logits.shape[-1]).to(logits).expand_as(logits)
    likely = logits.sigmoid()
    wrong = (1 - likely) * wanted + likely * (1 - wanted)
    share = config.focal_share * wanted + (1 - config.focal_share) * (1 - wanted)
    surprise = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (share * wrong**config.focal_power * surprise).mean(dim=-1).sum(dim=0)


def _pose_error(
    poses: Float[Tensor, "l b m t 3"], right: Int[Tensor, " b"], trajectory: Float[Tensor, "b t 3"]
) -> Float[Tensor, " b"]:
    """L1 of the right mode, mean over poses and coordinates, summed over layers."""
    chosen = poses[:, torch.arange(len(right), device=right.device), right]
    return (chosen - trajectory).abs().mean(dim=(-1, -2)).sum(dim=0)
