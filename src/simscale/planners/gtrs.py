"""GTRS-Dense: from three cameras and the car's status to the best trajectory of a fixed vocabulary.

It does not draw a plan, it chooses one. A trunk turns the stitched cameras into tokens: cells of a bird's-eye view
(ResNet34, trunk.py) or of the image itself (V2-99, vovnet.py). Thousands of trajectories look at these tokens
(gtrs_head.py), and of each is predicted what a simulator would say of it, metric by metric, and how like a human it
is. The weighted sum of the logarithms is the score; the plan is the trajectory with the highest.

In training a random half of the vocabulary takes part, so that the planner learns what makes a trajectory good and
not its number. Hydra-MDP is the same without that.

Agrees with `HydraModel` of SimScale and of NVlabs (planners.md, section 4) to the parameter's name.

Axes: `b` samples, `v` trajectories, `t` poses, `n` image tokens, `c` channels, `m` metrics.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from simscale.planners.gtrs_head import IMITATION, METRICS, VocabularyHead
from simscale.planners.perception import BOX, NANO_TRUNK, STATUS, TINY_TRUNK
from simscale.planners.trunk import Trunk, TrunkConfig, resized, tokens_of
from simscale.planners.vovnet import VovConfig, VovTrunk

SPEED = 4
"""Where the status holds forward and leftward velocity."""


@dataclass(frozen=True, kw_only=True)
class ScoreWeights:
    """How predictions become one score; the defaults are the reference's (`inference_*_weight` in its config is dead).

    A term is the weight times the logarithm of a probability. Those of `soft` are summed before the logarithm.
    """

    imitation: float = 0.03
    traffic_light: float = 0.1
    no_at_fault_collision: float = 0.1
    drivable_area: float = 0.9
    driving_direction: float = 0.2
    soft: float = 6.0
    soft_time_to_collision: float = 7.0
    soft_progress: float = 7.0
    soft_lane_keeping: float = 3.0


@dataclass(frozen=True, kw_only=True)
class GtrsConfig:
    """Sizes and switches of the planner; the defaults are those of SimScale with ResNet34."""

    trunk: TrunkConfig | VovConfig = field(
        default_factory=lambda: TrunkConfig(image_size=(512, 2048), bev_channels=4, image_tokens=(16, 64))
    )
    width: int = 256  # of tokens
    hidden: int = 1024  # of all MLPs
    decoder_layers: int = 3
    attention_heads: int = 8
    vocabulary: int = 16384  # trajectories
    poses: int = 40  # of a trajectory
    pose_interval: float = 0.1  # s
    training_share: float = 0.5  # of the vocabulary that takes part in a step; 1 is Hydra-MDP
    status_noise: tuple[float, float] = (1.0, 0.2)  # standard deviation added to forward and leftward velocity in
    #   training, m/s
    status_noise_per_batch: bool = True  # one number for all samples of a step, as SimScale has it
    carried: tuple[str, ...] = ("_tf_decoder", "_agent_head")  # parts that published checkpoints hold and nobody asks
    agents: int = 30  # queries of such a part
    score: ScoreWeights = field(default_factory=ScoreWeights)

    @property
    def memory_tokens(self) -> int:
        """What the trajectories look at."""
        if isinstance(self.trunk, VovConfig):
            return math.prod(self.trunk.grid)
        return self.trunk.neck_size**2


@dataclass(frozen=True, kw_only=True)
class GtrsOutput:
    """What the planner says of `b` samples."""

    trajectory: Float[Tensor, "b t 3"]  # the best trajectory: x, y, heading at 0.1, 0.2, ... s in the ego frame
    choice: Int[Tensor, " b"]  # its row among the candidates
    total: Float[Tensor, "b v"]  # score of each candidate
    metrics: Float[Tensor, "b m v"]  # logits, in the order of `METRICS`
    imitation: Float[Tensor, "b v"]  # logits
    candidates: Float[Tensor, "v t 3"]
    rows: Int[Tensor, " v"]  # of the candidates, in the vocabulary


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """The best `k` trajectories of each sample, the best first."""

    trajectory: Float[Tensor, "b k t 3"]
    score: Float[Tensor, "b k"]
    row: Int[Tensor, "b k"]  # in the vocabulary


SIMSCALE = GtrsConfig()
"""GTRS-Dense with ResNet34 as SimScale publishes it."""

SIMSCALE_V99 = GtrsConfig(trunk=VovConfig())
"""... with V2-99."""

NVLABS_V99 = GtrsConfig(
    trunk=VovConfig(), status_noise=(0.0, 0.0), carried=("_query_embedding", "_tf_decoder", "_agent_head")
)
"""GTRS-Dense as NVlabs publishes it."""

HYDRA_MDP = GtrsConfig(
    trunk=VovConfig(),
    status_noise=(0.0, 0.0),
    carried=("_query_embedding", "_tf_decoder", "_agent_head"),
    training_share=1.0,
)
"""Hydra-MDP as NVlabs trains it: the whole vocabulary takes part in every step."""

BASE256 = GtrsConfig(
    trunk=TrunkConfig(image_size=(256, 1024), bev_channels=4),
    vocabulary=8192,
    status_noise_per_batch=False,
    carried=(),
)
"""At NAVSIM's resolution (ours)."""

TINY = GtrsConfig(
    trunk=TINY_TRUNK,
    width=128,
    hidden=256,
    decoder_layers=2,
    attention_heads=4,
    vocabulary=1024,
    status_noise_per_batch=False,
    carried=(),
)
"""Between `NANO` and `BASE256` (ours)."""

NANO = GtrsConfig(
    trunk=NANO_TRUNK,
    width=64,
    hidden=64,
    decoder_layers=2,
    attention_heads=2,
    vocabulary=256,
    training_share=1.0,
    status_noise_per_batch=False,
    carried=(),
)
"""The same planner for one CPU (ours), about a million parameters. So small a vocabulary takes part as a whole."""


class Gtrs(nn.Module):
    """The planner."""

    def __init__(self, config: GtrsConfig):
        super().__init__()
        self.config = config
        trunk, width = config.trunk, config.width
        if isinstance(trunk, VovConfig):
            self._backbone = VovTrunk(trunk)
            self._keyval_embedding = nn.Embedding(config.memory_tokens, width)
            if "_query_embedding" in config.carried:
                self._query_embedding = nn.Embedding(config.agents, width)
            self.downscale_layer = nn.Conv2d(trunk.widths[-1], width, 1)
        else:
            self._backbone = Trunk(trunk)
            self._bev_downscale = nn.Conv2d(trunk.widths[-1] + trunk.neck_width, width, 1)
            self._keyval_embedding = nn.Embedding(config.memory_tokens, width)
        self._status_encoding = nn.Linear(STATUS, width)
        if "_tf_decoder" in config.carried:
            layer = nn.TransformerDecoderLayer(width, config.attention_heads, config.hidden, 0.0, batch_first=True)
            self._tf_decoder = nn.TransformerDecoder(layer, config.decoder_layers)
        if "_agent_head" in config.carried:
            self._agent_head = _CarriedAgentHead(width, config.hidden)
        self._trajectory_head = VocabularyHead(
            fan(config.vocabulary, poses=config.poses, interval=config.pose_interval),
            width=width,
            hidden=config.hidden,
            heads=config.attention_heads,
            layers=config.decoder_layers,
        )

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        status: Float[Tensor, "b 8"],
        *,
        generator: torch.Generator | None = None,
    ) -> GtrsOutput:
        """Plans for a batch.

        Args:
            rgb: Left, front and right camera side by side, in [0, 1].
            status: See `simscale.planners.perception.STATUS`; not normalised.
            generator: Draws what is random in training; torch's own where not said.
        """
        head = self._trajectory_head
        rows = self._rows(generator)
        whole = len(rows) == len(head.vocab)
        ready = head.vocabulary_ready() if whole else head.ready(head.vocab[rows])
        told = self._status_encoding(self._noisy(status, generator))
        metrics, imitation = head.predicted(head.decoded(ready, self.memory(rgb)) + told[:, None])
        total = total_score(metrics, imitation, self.config.score)
        choice = total.argmax(dim=1)
        candidates = head.vocab[rows]
        return GtrsOutput(
            trajectory=candidates[choice],
            choice=choice,
            total=total,
            metrics=metrics,
            imitation=imitation,
            candidates=candidates,
            rows=rows,
        )

    def propose(self, rgb: Float[Tensor, "b 3 h w"], status: Float[Tensor, "b 8"], *, count: int) -> Proposals:
        """The `count` best trajectories of the vocabulary for each sample."""
        output = self(rgb, status)
        score, place = output.total.topk(count, dim=1)
        return Proposals(trajectory=output.candidates[place], score=score, row=output.rows[place])

    def score(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        status: Float[Tensor, "b 8"],
        trajectories: Float[Tensor, "*b v t 3"],
    ) -> Float[Tensor, "b v"]:
        """Scores of trajectories that stand in the vocabulary's place: everybody else's, or one set for each sample."""
        head = self._trajectory_head
        x = head.decoded(head.ready(trajectories), self.memory(rgb)) + self._status_encoding(status)[:, None]
        return total_score(*head.predicted(x), self.config.score)

    def memory(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n c"]:
        """What the trajectories look at: cells of the bird's-eye view, or of the image."""
        seen = self._backbone(rgb)
        cells = self.downscale_layer(seen) if isinstance(self.config.trunk, VovConfig) else self._birds_eye(*seen)
        return tokens_of(cells) + self._keyval_embedding.weight

    def _birds_eye(self, neck: Float[Tensor, "b d s s"], fused: Float[Tensor, "b e f f"]) -> Float[Tensor, "b c s s"]:
        """One 1x1 convolution over both, the coarse one made larger: which may as well come after the convolution."""
        layer, width = self._bev_downscale, fused.shape[1]
        coarse = functional.conv2d(fused, layer.weight[:, :width])
        return resized(coarse, neck.shape[-2:]) + functional.conv2d(neck, layer.weight[:, width:], layer.bias)

    def use_vocabulary(self, trajectories: Float[Tensor, "v t 3"]) -> None:
        """Puts other trajectories in the vocabulary's place; their number may change."""
        old = self._trajectory_head.vocab
        assert trajectories.shape[1:] == old.shape[1:], tuple(trajectories.shape)
        self._trajectory_head.vocab = nn.Parameter(trajectories.to(old).clone(), requires_grad=False)
        self.config = replace(self.config, vocabulary=len(trajectories))

    def _rows(self, generator: torch.Generator | None) -> Int[Tensor, " v"]:
        """The trajectories that take part: in training, a share of them in random order."""
        vocab = self._trajectory_head.vocab
        if not self.training or self.config.training_share == 1.0:
            return torch.arange(len(vocab), device=vocab.device)
        order = torch.randperm(len(vocab), generator=generator)
        return order[: round(len(vocab) * self.config.training_share)].to(vocab.device)

    def _noisy(self, status: Float[Tensor, "b 8"], generator: torch.Generator | None) -> Float[Tensor, "b 8"]:
        """The status with noise on its velocity while training: the planner must not go by its own speed alone."""
        if not self.training or not any(self.config.status_noise):
            return status
        count = 1 if self.config.status_noise_per_batch else len(status)
        noise = torch.randn(count, 2, generator=generator) * torch.tensor(self.config.status_noise)
        return status + functional.pad(noise, (SPEED, STATUS - SPEED - 2)).to(status)


class _CarriedAgentHead(nn.Module):
    """Holds weights of published checkpoints that nobody asks."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self._mlp_states = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, BOX))
        self._mlp_label = nn.Sequential(nn.Linear(width, 1))


def total_score(
    metrics: Float[Tensor, "b m v"], imitation: Float[Tensor, "b v"], weights: ScoreWeights
) -> Float[Tensor, "b v"]:
    """One number a trajectory, the higher the better (hydra_model.py:251)."""
    log, one = dict(zip(METRICS, functional.logsigmoid(metrics).unbind(1), strict=True)), metrics.sigmoid()
    chance = dict(zip(METRICS, one.unbind(1), strict=True))
    soft = (
        weights.soft_time_to_collision * chance["time_to_collision"]
        + weights.soft_progress * chance["progress"]
        + weights.soft_lane_keeping * chance["lane_keeping"]
    )
    return (
        weights.imitation * imitation.log_softmax(dim=-1)
        + weights.traffic_light * log["traffic_light"]
        + weights.no_at_fault_collision * log["no_at_fault_collision"]
        + weights.drivable_area * log["drivable_area"]
        + weights.driving_direction * log["driving_direction"]
        + weights.soft * soft.log()
    )


def fan(size: int, *, poses: int = 40, interval: float = 0.1) -> Float[Tensor, "size t 3"]:
    """A plain vocabulary to begin with (ours): arcs of steady acceleration and curvature, evenly spread.

    The fractional parts of multiples of two irrational numbers spread over the square whatever their count.
    """
    n = torch.arange(size, dtype=torch.float64)
    along, side = (n + 0.5) / size, (n * 0.6180339887498949) % 1.0
    gain = (n * 0.41421356237309515) % 1.0
    speed, acceleration, curvature = 15.0 * along, 4.0 * gain - 2.0, 0.16 * (2 * side - 1) ** 3
    time = interval * torch.arange(1, poses + 1, dtype=torch.float64)
    stop = torch.where(acceleration < 0, speed / acceleration.abs().clamp(min=1e-9), torch.inf)
    moving = torch.minimum(time, stop[:, None])
    distance = speed[:, None] * moving + 0.5 * acceleration[:, None] * moving**2
    yaw = curvature[:, None] * distance
    chord = distance * torch.sinc(yaw / (2 * math.pi))
    return torch.stack([chord * torch.cos(yaw / 2), chord * torch.sin(yaw / 2), yaw], dim=-1).float()


OUTPUTS = (
    *(f"_trajectory_head.heads.{name}.2" for name in METRICS.values()),
    f"_trajectory_head.heads.{IMITATION}.4",
)
"""Layers whose outputs are the planner's."""


def fitted(config: GtrsConfig, shapes: Mapping[str, tuple[int, ...]]) -> GtrsConfig:
    """The configuration with the size of the vocabulary that weights of these shapes hold."""
    return replace(config, vocabulary=shapes["_trajectory_head.vocab"][0])


def build(config: GtrsConfig, *, seed: int = 0) -> Gtrs:
    """A planner with random weights that depend on the seed alone, and `fan` for its vocabulary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Gtrs(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
