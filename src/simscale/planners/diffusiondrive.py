"""DiffusionDrive: from three cameras and the car's status to twenty plans with a score each; the best one is driven.

Perception (perception.py) answers as for LTF. The plan comes out of a diffusion that does not start from pure noise:
twenty anchors, the k-means centres of what people drive, get a little noise, and a decoder moves each noisy anchor to
where a good driver would be. It looks at the bird's-eye view along the anchor, at the vehicles, and at the ego's own
answer. Two such passes, the second at a lower noise, and the plan with the highest logit is taken. In training there is
one pass, at a random noise.

The noise of a plan is drawn from a seed and is the same for every sample, so that a sample's plan depends on nothing
but the sample (ours; the reference draws it afresh, and never says from what).

Agrees with `V2TransfuserModel` of the reference (planners.md, section 3) to the parameter's name. Its oddities are
named switches: `legacy_steps` and `reset_query_per_layer`.

Axes: `b` samples, `m` modes (anchors), `t` poses, `l` decoder layers, `c` width.
"""

import math
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from simscale.planners.ddim import STEPS, alphas_of, ddim_step, noised, point_embedding, sinusoid
from simscale.planners.perception import NANO_TRUNK, POSE, TINY_TRUNK, Perception, PerceptionConfig, PerceptionOutput
from simscale.planners.trunk import TrunkConfig, cells_of, resized

FIRST_XY = (-1.2, -20.0)
"""Smallest x and y that the diffusion knows, m (`norm_odo`)."""
SPAN_XY = (56.9, 46.0)
"""... and how far it is from there to the largest, m."""
TOWN_ANCHORS = "town_anchors.npy"
"""K-means centres of the town's own drivers, [20 40 3] at 10 Hz; docs/LOG.md has the command that made them."""
MODE_PRIOR = 0.01
"""How likely a mode is before training: focal loss starts well from a low one."""


@dataclass(frozen=True, kw_only=True)
class DiffusionDriveConfig(PerceptionConfig):
    """Sizes of the planner; the defaults are the reference's."""

    modes: int = 20  # anchors
    point_width: int = 64  # of the embedding of one pose of a noisy plan
    diffusion_layers: int = 2
    diffusion_dropout: float = 0.1  # after each attention of the diffusion's decoder
    value_kernel: int = 3  # side of the convolution that prepares the bird's-eye features for each layer, cells
    bev_range: float = 32.0  # the bird's-eye features reach this far ahead, behind and aside, m
    trained_steps: int = 50  # noise in training is that of a step below this, of 1000
    noise_step: int = 8  # step whose noise the anchors get
    model_steps: tuple[int, ...] = (10, 0)  # what the decoder is told, pass by pass
    legacy_steps: bool = True  # noise of `noise_step`, and between the passes one step of 1000 down, as the reference:
    #   `set_timesteps(1000)`. False: noise of the first of `model_steps`, and down to the next of them
    reset_query_per_layer: bool = True  # each layer starts from the anchor's embedding, as the reference; False: from
    #   what the layer before it has found


@dataclass(frozen=True, kw_only=True)
class DiffusionDriveOutput(PerceptionOutput):
    """What the planner says of `b` samples; `trajectory` is the mode with the highest logit of the last layer."""

    mode_poses: Float[Tensor, "l b m t 3"]  # every layer's plans, of the last pass
    mode_logits: Float[Tensor, "l b m"]
    anchors: Float[Tensor, "m t 2"]
    sampled: bool  # by the passes of inference; False: by the one of training


@dataclass(frozen=True, kw_only=True)
class View:
    """What the diffusion's decoder looks at."""

    bev: Float[Tensor, "b c s s"]  # rows from behind to ahead, columns from right to left
    agents: Float[Tensor, "b a c"]
    ego: Float[Tensor, "b 1 c"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The same as one layer sees it: all that no plan changes, made once for all passes."""

    bev: Float[Tensor, "b c s s"]
    agent_keys: Float[Tensor, "b h a d"]
    agent_values: Float[Tensor, "b h a d"]
    ego: Float[Tensor, "b 1 c"]


PUBLISHED_SIMSCALE = DiffusionDriveConfig(trunk=TrunkConfig(image_size=(512, 2048)))
"""DiffusionDrive as SimScale publishes it: three cameras, no LiDAR."""

PUBLISHED_LIDAR = DiffusionDriveConfig(trunk=TrunkConfig(image_size=(256, 1024), latent=False))
"""DiffusionDrive as its authors publish it: with LiDAR."""

BASE256 = DiffusionDriveConfig(trunk=TrunkConfig(image_size=(256, 1024)))
"""The same parameters as SimScale's at half the resolution (ours)."""

TINY = DiffusionDriveConfig(trunk=TINY_TRUNK, width=128, hidden=512, decoder_layers=2, decoder_heads=4, point_width=32)
"""Between `NANO` and `BASE256` (ours)."""

NANO = DiffusionDriveConfig(
    trunk=replace(NANO_TRUNK, widths=(16, 32, 64, 96), fusion_expansion=2),
    width=64,
    hidden=128,
    decoder_layers=2,
    decoder_heads=4,
    agents=10,
    bev_map_size=(32, 64),
    point_width=16,
    diffusion_dropout=0.0,
    value_kernel=1,
)
"""The same planner for one CPU (ours), a million parameters. Trunk and map are smaller than LTF's: the diffusion costs
as much as they save."""

OUTPUTS = (
    *(
        f"_trajectory_head.diff_decoder.layers.{layer}.{part}"
        for layer in range(DiffusionDriveConfig.diffusion_layers)
        for part in (
            "cross_bev_attention.attention_weights",
            "task_decoder.plan_cls_branch.6",
            "task_decoder.plan_reg_branch.4",
        )
    ),
    "_agent_head._mlp_states.2",
    "_agent_head._mlp_label.0",
    "_bev_semantic_head.2",
)
"""Layers whose outputs are the planner's: weights of poses, logits, metres."""


class BevAttention(nn.Module):
    """Gathers bird's-eye features at the poses of each plan (`GridSampleCrossBEVAttention`)."""

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__()
        self.range = config.bev_range
        self.attention_weights = nn.Linear(config.width, config.poses)
        self.output_proj = nn.Linear(config.width, config.width)
        kernel = config.value_kernel
        values = nn.Conv2d(config.width, config.width, kernel, padding=kernel // 2)
        self.value_proj = nn.Sequential(values, nn.ReLU())
        self.dropout = nn.Dropout(config.diffusion_dropout)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        nn.init.xavier_uniform_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def forward(
        self, query: Float[Tensor, "b m c"], xy: Float[Tensor, "b m t 2"], values: Float[Tensor, "b c s s"]
    ) -> Float[Tensor, "b m c"]:
        """The queries with what lies along their plans; `values` are those of `value_proj`."""
        weight = self.attention_weights(query).softmax(dim=-1)
        place = xy.flip(-1) / self.range  # columns go with y, rows with x
        found = functional.grid_sample(values, place, padding_mode="zeros", align_corners=False)
        gathered = (weight[:, None] * found).sum(dim=-1).transpose(1, 2)
        return self.dropout(self.output_proj(gathered)) + query


class TimeModulation(nn.Module):
    """Scales and shifts features by the step's embedding (`ModulationLayer`)."""

    def __init__(self, width: int):
        super().__init__()
        self.scale_shift_mlp = nn.Sequential(nn.Mish(), nn.Linear(width, 2 * width))

    def forward(self, x: Float[Tensor, "b m c"], time: Float[Tensor, "b 1 c"]) -> Float[Tensor, "b m c"]:
        """The features at that step."""
        scale, shift = self.scale_shift_mlp(time).chunk(2, dim=-1)
        return x * (1 + scale) + shift


class TaskDecoder(nn.Module):
    """A plan's poses, relative to where it was, and its logit (`DiffMotionPlanningRefinementModule`)."""

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__()
        width = config.width
        logit = nn.Linear(width, 1)
        nn.init.constant_(logit.bias, -math.log((1 - MODE_PRIOR) / MODE_PRIOR))
        self.plan_cls_branch = nn.Sequential(*_linear_relu_norm(width), *_linear_relu_norm(width), logit)
        self.plan_reg_branch = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, config.poses * POSE),
        )

    def forward(self, feature: Float[Tensor, "b m c"]) -> tuple[Float[Tensor, "b m t 3"], Float[Tensor, "b m"]]:
        """Poses and logits."""
        return self.plan_reg_branch(feature).unflatten(-1, (-1, POSE)), self.plan_cls_branch(feature).squeeze(-1)


class DiffusionLayer(nn.Module):
    """One look at everything, and what it changes in the plans (`CustomTransformerDecoderLayer`)."""

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__()
        width, heads = config.width, config.decoder_heads
        self.dropout = nn.Dropout(config.diffusion_dropout)
        self.cross_bev_attention = BevAttention(config)
        self.cross_agent_attention = nn.MultiheadAttention(width, heads, config.decoder_dropout, batch_first=True)
        self.cross_ego_attention = nn.MultiheadAttention(width, heads, config.decoder_dropout, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, width))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.time_modulation = TimeModulation(width)
        self.task_decoder = TaskDecoder(config)

    def seen(self, view: View) -> Seen:
        """What this layer makes of a view."""
        keys, values = (_projected(self.cross_agent_attention, view.agents, part) for part in (1, 2))
        # attention to one token gathers that token, whatever is asked
        ego = self.cross_ego_attention.out_proj(_projected(self.cross_ego_attention, view.ego, 2).squeeze(2).flatten(1))
        return Seen(
            bev=self.cross_bev_attention.value_proj(view.bev), agent_keys=keys, agent_values=values, ego=ego[:, None]
        )

    def forward(
        self,
        query: Float[Tensor, "b m c"],
        xy: Float[Tensor, "b m t 2"],
        seen: Seen,
        time: Float[Tensor, "b 1 c"],
    ) -> tuple[Float[Tensor, "b m t 3"], Float[Tensor, "b m"], Float[Tensor, "b m c"]]:
        """Poses and logits of the plans that were at `xy`, and their features."""
        x = self.cross_bev_attention(query, xy, seen.bev)
        asked = _projected(self.cross_agent_attention, x, 0)
        drop = self.cross_agent_attention.dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(asked, seen.agent_keys, seen.agent_values, dropout_p=drop)
        found = self.cross_agent_attention.out_proj(found.transpose(1, 2).flatten(2))
        x = self.norm1(x + self.dropout(found))
        x = self.norm2(x + self.dropout(seen.ego.expand_as(x)))
        x = self.norm3(self.ffn(x))  # the reference has no shortcut here
        x = self.time_modulation(x, time)
        poses, logits = self.task_decoder(x)
        poses = torch.cat([poses[..., :2] + xy, poses[..., 2:].tanh() * math.pi], dim=-1)
        return poses, logits, x


class DiffusionDecoder(nn.Module):
    """Layers, each of which begins where the one before it has moved the plans (`CustomTransformerDecoder`)."""

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__()
        self.reset_query = config.reset_query_per_layer
        self.layers = nn.ModuleList(DiffusionLayer(config) for _ in range(config.diffusion_layers))

    def seen(self, view: View) -> list[Seen]:
        """What each layer makes of a view."""
        return [layer.seen(view) for layer in self.layers]  # type: ignore[operator]

    def forward(
        self,
        query: Float[Tensor, "b m c"],
        xy: Float[Tensor, "b m t 2"],
        seen: list[Seen],
        time: Float[Tensor, "b 1 c"],
    ) -> tuple[Float[Tensor, "l b m t 3"], Float[Tensor, "l b m"]]:
        """Every layer's poses and logits."""
        all_poses, all_logits = [], []
        for layer, view in zip(self.layers, seen, strict=True):
            poses, logits, feature = layer(query, xy, view, time)
            xy = poses[..., :2].detach()
            query = query if self.reset_query else feature
            all_poses.append(poses)
            all_logits.append(logits)
        return torch.stack(all_poses), torch.stack(all_logits)


class StepEmbedding(nn.Module):
    """See `sinusoid`."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, step: Int[Tensor, " b"]) -> Float[Tensor, "b c"]:
        """Embedding of each step."""
        return sinusoid(step, self.width)


class DiffusionHead(nn.Module):
    """From anchors to plans (`TrajectoryHead` of the reference)."""

    alphas: Tensor

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__()
        self.config = config
        width = config.width
        anchors = torch.zeros(config.modes, config.poses, 2)
        self.plan_anchor = nn.Parameter(anchors, requires_grad=False)
        self.plan_anchor_encoder = nn.Sequential(
            *_linear_relu_norm(width, config.poses * config.point_width), nn.Linear(width, width)
        )
        self.time_mlp = nn.Sequential(
            StepEmbedding(width), nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        self.diff_decoder = DiffusionDecoder(config)
        self.register_buffer("alphas", alphas_of(), persistent=False)

    def sampled(
        self, seen: list[Seen], noise: Float[Tensor, "b m t 2"]
    ) -> tuple[Float[Tensor, "l b m t 3"], Float[Tensor, "l b m"]]:
        """Poses and logits of the last pass of inference."""
        config = self.config
        begin = config.noise_step if config.legacy_steps else config.model_steps[0]
        noisy = self._noised(noise, torch.full((len(noise),), begin, device=noise.device))
        poses, logits = noise.new_zeros(0), noise.new_zeros(0)
        for number, step in enumerate(config.model_steps):
            poses, logits = self.denoised(noisy, torch.full((len(noise),), step, device=noise.device), seen)
            if number + 1 < len(config.model_steps):
                earlier = step - 1 if config.legacy_steps else config.model_steps[number + 1]
                noisy = ddim_step(noisy, normalised(poses[-1, ..., :2]), self.alphas[step], self.alphas[earlier])
        return poses, logits

    def taught(
        self, seen: list[Seen], noise: Float[Tensor, "b m t 2"], step: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "l b m t 3"], Float[Tensor, "l b m"]]:
        """Poses and logits of the one pass of training, each sample's at its step."""
        return self.denoised(self._noised(noise, step), step, seen)

    def denoised(
        self, noisy: Float[Tensor, "b m t 2"], step: Int[Tensor, " b"], seen: list[Seen]
    ) -> tuple[Float[Tensor, "l b m t 3"], Float[Tensor, "l b m"]]:
        """One pass: plans in [-1, 1] with the noise of a step, and what the decoder makes of them."""
        xy = in_metres(noisy.clamp(-1.0, 1.0))
        query = self.plan_anchor_encoder(point_embedding(xy, self.config.point_width).flatten(-2))
        return self.diff_decoder(query, xy, seen, self.time_mlp(step)[:, None])

    def _noised(self, noise: Float[Tensor, "b m t 2"], step: Int[Tensor, " b"]) -> Float[Tensor, "b m t 2"]:
        return noised(normalised(self.plan_anchor).expand_as(noise), noise, self.alphas[step])


class DiffusionDrive(Perception):
    """The planner."""

    config: DiffusionDriveConfig

    def __init__(self, config: DiffusionDriveConfig):
        super().__init__(config)
        self._trajectory_head = DiffusionHead(config)
        self.bev_proj = nn.Sequential(*_linear_relu_norm(config.width, config.width + config.trunk.neck_width))

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        status: Float[Tensor, "b 8"],
        lidar: Float[Tensor, "b c i i"] | None = None,
        *,
        noise: Float[Tensor, "b m t 2"] | None = None,
        step: Int[Tensor, " b"] | None = None,
        seed: int = 0,
    ) -> DiffusionDriveOutput:
        """Plans for a batch: by all passes in evaluation mode, by the one of training where `step` is given.

        Args:
            rgb: Left, front and right camera side by side, in [0, 1].
            status: See `perception.STATUS`; not normalised.
            lidar: Histogram of the points, for a planner whose trunk is not latent.
            noise: Normal noise of each sample's anchors. Where not given, it comes from `seed` and is the same for all
                samples; in training mode, from torch's random stream.
            step: Whose noise the one pass of training has; drawn in training mode where not given.
            seed: Of the noise.
        """
        neck, fused = self._backbone(rgb, lidar)
        memory = self.memory(fused, status)
        queries = self.answers_from(memory)
        agent_states, agent_labels = self._agent_head(queries[:, 1:])
        view = View(bev=self._bev(memory[:, :-1], neck), agents=queries[:, 1:], ego=queries[:, :1])
        if self.training and step is None:
            step = torch.randint(0, self.config.trained_steps, (len(rgb),), device=rgb.device)
        noise = self._noise(rgb, seed) if noise is None else noise
        head = self._trajectory_head
        seen = head.diff_decoder.seen(view)
        poses, logits = head.sampled(seen, noise) if step is None else head.taught(seen, noise, step)
        best = logits[-1].argmax(dim=-1)
        return DiffusionDriveOutput(
            trajectory=poses[-1][torch.arange(len(best), device=best.device), best],
            agent_states=agent_states,
            agent_labels=agent_labels,
            bev_semantic=self.painted(neck),
            mode_poses=poses,
            mode_logits=logits,
            anchors=head.plan_anchor,
            sampled=step is None,
        )

    def _bev(self, cells: Float[Tensor, "b n c"], neck: Float[Tensor, "b d s s"]) -> Float[Tensor, "b c s s"]:
        """The neck's features, and the decoder's memory of the same places."""
        side = self.config.trunk.fused_size
        coarse = cells_of(cells, (side, side))
        both = torch.cat([resized(coarse, neck.shape[-2:]), neck], dim=1)
        return self.bev_proj(both.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _noise(self, rgb: Float[Tensor, "b 3 h w"], seed: int) -> Float[Tensor, "b m t 2"]:
        shape = (self.config.modes, self.config.poses, 2)
        if self.training:
            return torch.randn(len(rgb), *shape, device=rgb.device)
        one = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        return one.to(rgb.device).expand(len(rgb), *shape)


def normalised(xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Metres as the diffusion knows them, [-1, 1] (`norm_odo`)."""
    return 2 * (xy - xy.new_tensor(FIRST_XY)) / xy.new_tensor(SPAN_XY) - 1


def in_metres(unit: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """The reverse (`denorm_odo`)."""
    return (unit + 1) / 2 * unit.new_tensor(SPAN_XY) + unit.new_tensor(FIRST_XY)


def build(config: DiffusionDriveConfig, *, seed: int = 0) -> DiffusionDrive:
    """A planner with random weights that depend on the seed alone, and the town's anchors.

    Published weights bring their own anchors. A planner with other modes or poses starts with anchors of zeros, which
    have to be filled in.
    """
    assert min(config.model_steps) >= 0 and max(config.model_steps) < STEPS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # convolutions with few channels run a third faster on CPUs with the channels innermost
        model = DiffusionDrive(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    anchors = town_anchors()
    if model._trajectory_head.plan_anchor.shape == anchors.shape:
        model._trajectory_head.plan_anchor.copy_(anchors)
    return model


def town_anchors() -> Float[Tensor, "m t 2"]:
    """The anchors that come with the package: every half second of its k-means centres."""
    with resources.files("simscale.planners").joinpath(TOWN_ANCHORS).open("rb") as file:
        poses = np.lib.format.read_array(file, allow_pickle=False)
    return torch.from_numpy(np.ascontiguousarray(poses[:, 4::5, :2], dtype=np.float32))


def _projected(attention: nn.MultiheadAttention, x: Float[Tensor, "b n c"], part: int) -> Float[Tensor, "b h n d"]:
    """Queries (part 0), keys (1) or values (2) of an attention, head by head."""
    rows = slice(part * attention.embed_dim, (part + 1) * attention.embed_dim)
    projected = functional.linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    return projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


def _linear_relu_norm(width: int, width_in: int | None = None) -> tuple[nn.Module, ...]:
    return nn.Linear(width_in or width, width), nn.ReLU(), nn.LayerNorm(width)
