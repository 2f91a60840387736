"""What GTRS is trained to do: foresee what a simulator would say of each trajectory, and which one a human drives.

A trajectory's rewards come from `simscale rewards`; each metric's head learns them by binary cross entropy. The
imitation head learns a distribution over the trajectories: the nearer one lies to what was driven, the likelier it is.

Not every sample has both: a simulated sample may teach rewards alone ("rewards only"), and one that nobody scored
teaches imitation alone. Every term is a mean over the samples that take part in it. With `legacy_mean` a sample that
is left out still counts in the number that a sum is divided by, as in the reference, and dilutes the others.

Agrees with `hydra_kd_imi_agent_loss` of the reference (planners.md, section 4), where all samples take part.

Axes: `b` samples, `v` trajectories of the vocabulary, `c` candidates among them, `t` poses, `m` metrics.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from simscale.planners.gtrs import GtrsOutput
from simscale.planners.gtrs_head import METRICS

HALVES = ("no_at_fault_collision", "driving_direction")
"""Metrics that may be 0.5: half a fault."""


@dataclass(frozen=True, kw_only=True)
class MetricWeights:
    """Of the metrics' terms; the defaults are the reference's."""

    no_at_fault_collision: float = 3.0
    drivable_area: float = 3.0
    time_to_collision: float = 4.0
    progress: float = 2.0
    driving_direction: float = 1.0
    lane_keeping: float = 2.0
    traffic_light: float = 3.0


@dataclass(frozen=True, kw_only=True)
class GtrsLossConfig:
    """Weights and switches; the defaults are the reference's."""

    metrics: MetricWeights = field(default_factory=MetricWeights)
    imitation_weight: float = 1.0
    temperature: float = 0.5  # by which a squared distance is divided before the softmax, m^2
    half_is_fault: bool = True  # half a fault counts as one (`three_to_two_classes`)
    legacy_mean: bool = False  # divide by all samples, taking part or not

    def with_auxiliary(self, share: float) -> "GtrsLossConfig":
        """The same: nothing here is auxiliary."""
        return self

    def with_legacy_mean(self) -> "GtrsLossConfig":
        """The same with `legacy_mean`."""
        return replace(self, legacy_mean=True)


@dataclass(frozen=True, kw_only=True)
class GtrsTargets:
    """What `b` samples teach."""

    trajectory: Float[Tensor, "b t 3"]  # what was driven: x, y, heading in the ego frame at 0.5, 1.0, ... s
    rewards: Float[Tensor, "b m v"] | None = None  # of the whole vocabulary, in the order of `METRICS`
    imitate: Bool[Tensor, " b"] | None = None  # who teaches imitation; None: all
    rewarded: Bool[Tensor, " b"] | None = None  # who teaches rewards; None: all that have some


@dataclass(frozen=True, kw_only=True)
class GtrsLoss:
    """The loss and its terms before they are weighted."""

    total: Float[Tensor, ""]
    imitation: Float[Tensor, ""]
    no_at_fault_collision: Float[Tensor, ""]
    drivable_area: Float[Tensor, ""]
    time_to_collision: Float[Tensor, ""]
    progress: Float[Tensor, ""]
    driving_direction: Float[Tensor, ""]
    lane_keeping: Float[Tensor, ""]
    traffic_light: Float[Tensor, ""]


def gtrs_loss(output: GtrsOutput, targets: GtrsTargets, *, config: GtrsLossConfig) -> GtrsLoss:
    """The loss of a batch. A term that nobody takes part in is 0."""
    wanted = likeness(output.candidates, _only(targets.trajectory, targets.imitate), config)
    imitation = _mean(-(wanted * output.imitation.log_softmax(dim=-1)).sum(dim=-1), targets.imitate, config)
    terms = dict(zip(METRICS, _metric_terms(output, targets, config), strict=True))
    weighted = [getattr(config.metrics, name) * term for name, term in terms.items()]
    total = config.imitation_weight * imitation + torch.stack(weighted).sum()
    return GtrsLoss(total=total, imitation=imitation, **terms)


def likeness(
    candidates: Float[Tensor, "c s 3"], driven: Float[Tensor, "b t 3"], config: GtrsLossConfig
) -> Float[Tensor, "b c"]:
    """How likely each candidate is to be what was driven: a softmax over squared distances, headings as they come."""
    every = candidates.shape[1] // driven.shape[1]
    coarse = candidates[:, every - 1 :: every].flatten(1)
    distance = (driven.flatten(1)[:, None] - coarse).square().sum(dim=-1)
    return (-distance / config.temperature).softmax(dim=-1)


def _metric_terms(output: GtrsOutput, targets: GtrsTargets, config: GtrsLossConfig) -> list[Float[Tensor, ""]]:
    if targets.rewards is None:
        nothing = 0.0 * output.metrics.sum()
        return [nothing] * len(METRICS)
    wanted = _only(targets.rewards[..., output.rows], targets.rewarded).to(output.metrics)
    if config.half_is_fault:
        halves = torch.tensor([name in HALVES for name in METRICS], device=wanted.device)[:, None]
        wanted = torch.where(halves & (wanted < 1.0), 0.0, wanted)
    wrong = functional.binary_cross_entropy_with_logits(output.metrics, wanted, reduction="none").mean(dim=-1)
    return [_mean(term, targets.rewarded, config) for term in wrong.unbind(1)]


def _only(values: Float[Tensor, "b *s"], mask: Bool[Tensor, " b"] | None) -> Float[Tensor, "b *s"]:
    """Zeros for samples that are left out: they may hold anything, and a NaN must not reach the gradient."""
    return values if mask is None else torch.where(mask.view(-1, *[1] * (values.ndim - 1)), values, 0.0)


def _mean(term: Float[Tensor, " b"], mask: Bool[Tensor, " b"] | None, config: GtrsLossConfig) -> Float[Tensor, ""]:
    if mask is None:
        return term.mean()
    return (term * mask).sum() / (len(mask) if config.legacy_mean else mask.sum().clamp(min=1))
