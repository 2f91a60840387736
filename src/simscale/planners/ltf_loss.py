"""What LTF is trained to do: drive like the expert, find the vehicles, paint the map.

Agents are a set without order: each sample's predictions are first matched to its targets at the least cost, the
Hungarian way. Padding is matched too, so that the predictions left over learn to say "nothing here".

Every term is a mean over the samples that take part in it: a sample may imitate the expert but not teach the
auxiliary heads, or the other way round. With `legacy_mean` a sample that is left out still counts in the number that a
sum is divided by, as in the reference, and dilutes the others.

Agrees with `transfuser_loss` of the reference (planners.md, section 2), where all samples take part.

Axes: `b` samples, `a` predicted and `m` annotated agents, `t` poses, `k` classes, `h w` rows and columns of the map.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from simscale.planners.perception import PerceptionOutput


@dataclass(frozen=True, kw_only=True)
class LtfLossConfig:
    """Weights and switches; the defaults are the reference's."""

    trajectory_weight: float = 10.0
    agent_class_weight: float = 10.0  # in the loss, and of the class in the cost of a match
    agent_box_weight: float = 1.0  # in the loss, and of the distance in the cost of a match
    bev_semantic_weight: float = 10.0
    seen_bearing: float | None = 4 * math.pi / 9  # rad; targets further to the side count as absent: three cameras
    #   do not show them. None with LiDAR
    legacy_mean: bool = False  # divide by all samples, taking part or not

    def with_auxiliary(self, share: float) -> "LtfLossConfig":
        """The same with this share of the weights of agents and map; matches do not change."""
        return replace(
            self,
            agent_class_weight=share * self.agent_class_weight,
            agent_box_weight=share * self.agent_box_weight,
            bev_semantic_weight=share * self.bev_semantic_weight,
        )

    def with_legacy_mean(self) -> "LtfLossConfig":
        """The same with `legacy_mean`."""
        return replace(self, legacy_mean=True)


@dataclass(frozen=True, kw_only=True)
class LtfTargets:
    """What `b` samples teach. Agents come nearest first; a planner with fewer queries learns the first of them."""

    trajectory: Float[Tensor, "b t 3"]  # x, y, heading in the ego frame
    agent_states: Float[Tensor, "b m 5"]  # x, y, heading, length, width
    agent_labels: Bool[Tensor, "b m"]  # False where the row is padding
    bev_semantic: Int[Tensor, "b h w"] | Shaped[Tensor, "b h w"]  # classes; any integer type
    imitate: Bool[Tensor, " b"] | None = None  # who teaches the plan; None: all
    auxiliary: Bool[Tensor, " b"] | None = None  # who teaches agents and map; None: all


@dataclass(frozen=True, kw_only=True)
class LtfLoss:
    """The loss and its terms before they are weighted."""

    total: Float[Tensor, ""]
    trajectory: Float[Tensor, ""]
    agent_class: Float[Tensor, ""]
    agent_box: Float[Tensor, ""]
    bev_semantic: Float[Tensor, ""]


def ltf_loss(output: PerceptionOutput, targets: LtfTargets, *, config: LtfLossConfig) -> LtfLoss:
    """The loss of a batch. A term that nobody takes part in is 0."""
    imitate = taking_part(targets.imitate, output.trajectory)
    auxiliary = taking_part(targets.auxiliary, output.trajectory)
    error = (output.trajectory - targets.trajectory).abs().mean(dim=(1, 2))
    trajectory = masked_mean(error, imitate, config)
    agent_class, agent_box = _agent_terms(output, targets, auxiliary, config)
    bev_semantic = masked_mean(_map_error(output.bev_semantic, targets.bev_semantic), auxiliary, config)
    total = (
        config.trajectory_weight * trajectory
        + config.agent_class_weight * agent_class
        + config.agent_box_weight * agent_box
        + config.bev_semantic_weight * bev_semantic
    )
    return LtfLoss(
        total=total, trajectory=trajectory, agent_class=agent_class, agent_box=agent_box, bev_semantic=bev_semantic
    )


def taking_part(mask: Bool[Tensor, " b"] | None, like: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """Who takes part, as 0 and 1; everybody where there is no mask."""
    return like.new_ones(len(like)) if mask is None else mask.to(like)


def masked_mean(term: Float[Tensor, " b"], mask: Float[Tensor, " b"], config: LtfLossConfig) -> Float[Tensor, ""]:
    """Mean over those who take part, 0 where nobody does; with `legacy_mean`, over everybody."""
    # where, not times: a sample that is left out may hold anything, and its infinity must not become a NaN
    count = len(mask) if config.legacy_mean else mask.sum().clamp(min=1.0)
    return torch.where(mask > 0, term, 0.0).sum() / count


def _map_error(logits: Float[Tensor, "b k h w"], classes: Shaped[Tensor, "b y x"]) -> Float[Tensor, " b"]:
    """Mean cross entropy of each sample; a planner that paints a coarser map learns every n-th cell."""
    rows, columns = classes.shape[1] // logits.shape[2], classes.shape[2] // logits.shape[3]
    assert classes.shape[1:] == (rows * logits.shape[2], columns * logits.shape[3])
    coarse = classes[:, rows // 2 :: rows, columns // 2 :: columns].long()
    return functional.cross_entropy(logits, coarse, reduction="none").mean(dim=(1, 2))


def _agent_terms(
    output: PerceptionOutput, targets: LtfTargets, mask: Float[Tensor, " b"], config: LtfLossConfig
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean error of presence over all rows, and L1 of the boxes over the targets that are there (`_agent_loss`)."""
    count = output.agent_labels.shape[1]
    states, present = targets.agent_states[:, :count], targets.agent_labels[:, :count]
    assert states.shape[1] == count, f"{states.shape[1]} annotated agents for {count} queries"
    if config.seen_bearing is not None:
        present = present & (torch.atan2(states[..., 1], states[..., 0]).abs() <= config.seen_bearing)

    match = _matches(output.agent_states.detach(), output.agent_labels.detach(), states, present, config)
    states = states.gather(1, match[..., None].expand_as(states))
    present = present.gather(1, match).to(output.agent_labels)

    presence = functional.binary_cross_entropy_with_logits(output.agent_labels, present, reduction="none").mean(dim=1)
    taught = torch.where(mask[:, None] > 0, present, 0.0)
    error = (output.agent_states - states).abs().sum(dim=-1)
    return masked_mean(presence, mask, config), torch.where(taught > 0, error, 0.0).sum() / taught.sum().clamp(min=1.0)


def _matches(
    found: Float[Tensor, "b a 5"],
    logit: Float[Tensor, "b a"],
    states: Float[Tensor, "b a 5"],
    present: Bool[Tensor, "b a"],
    config: LtfLossConfig,
) -> Int[Tensor, "b a"]:
    """Which target each prediction is matched to."""
    distance = (found[:, :, None, :2] - states[:, None, :, :2]).abs().sum(dim=-1) * present[:, None]
    # binary cross entropy of every logit with every label: softplus(x) - x y
    surprise = functional.softplus(logit)[:, :, None] - logit[:, :, None] * present[:, None]
    cost = config.agent_class_weight * surprise + config.agent_box_weight * distance
    columns = [linear_sum_assignment(each)[1] for each in cost.cpu().numpy()]
    return torch.stack([torch.as_tensor(column) for column in columns]).to(logit.device)
