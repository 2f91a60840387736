"""The vocabulary: which of many fixed trajectories suits what the cameras see.

Each trajectory becomes a token. Tokens first look at each other, so that each knows what the alternatives are, then a
transformer decoder lets them look at the image and at each other again, and small heads say how each would fare. With
`v` trajectories every look at each other is `v x v`. Three things keep that cheap, and none changes the result:

- attention is fused: the `v x v` weights never exist as a whole;
- what happens before the image is looked at is the same for every sample: the encoder and the decoder's first
  self-attention run once for a batch;
- and when nothing is learned, once for a vocabulary: the result is kept until a weight changes.

Agrees with `HydraTrajHead` of the reference (planners.md, section 4), whose parameter names it carries.

Axes: `b` samples, `v` trajectories, `n` image tokens, `c` channels, `m` metrics.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

METRICS = {
    "no_at_fault_collision": "no_at_fault_collisions",
    "drivable_area": "drivable_area_compliance",
    "time_to_collision": "time_to_collision_within_bound",
    "progress": "ego_progress",
    "driving_direction": "driving_direction_compliance",
    "lane_keeping": "lane_keeping",
    "traffic_light": "traffic_light_compliance",
}
"""What is predicted of a trajectory, in order, and the names of the heads in published checkpoints."""
IMITATION = "imi"


class BareAttention(nn.Module):
    """Self-attention without biases."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        self.heads = heads

    def forward(self, x: Float[Tensor, "b v c"]) -> Float[Tensor, "b v c"]:
        """What each token gathers from all tokens."""
        return self.to_out(fused_attention(self.to_q(x), self.to_k(x), self.to_v(x), heads=self.heads))


class EncoderLayer(nn.Module):
    """Post-norm transformer layer over the vocabulary (`MemoryEffTransformer`)."""

    def __init__(self, width: int, hidden: int, heads: int):
        super().__init__()
        self.self_attn = BareAttention(width, heads)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "b v c"]) -> Float[Tensor, "b v c"]:
        """The tokens after one round of talk."""
        x = self.norm1(x + self.self_attn(x))
        return self.norm3(x + self.linear2(functional.relu_(self.linear1(x))))


class DecoderLayer(nn.Module):
    """Post-norm decoder layer, as `nn.TransformerDecoderLayer` without dropout, in the two halves that we need.

    PyTorch's own writes the attention's weights down when it infers.
    """

    def __init__(self, width: int, hidden: int, heads: int):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def talked(self, x: Float[Tensor, "b v c"]) -> Float[Tensor, "b v c"]:
        """The first half: tokens look at each other."""
        return self.norm1(x + _attended(self.self_attn, x, x))

    def looked(self, x: Float[Tensor, "b v c"], memory: Float[Tensor, "b n c"]) -> Float[Tensor, "b v c"]:
        """The second half: tokens look at the image, then each thinks for itself."""
        x = self.norm2(x + _attended(self.multihead_attn, x, memory))
        return self.norm3(x + self.linear2(functional.relu_(self.linear1(x))))


class Decoder(nn.Module):
    """A row of layers under the name that `nn.TransformerDecoder` gives them."""

    def __init__(self, width: int, hidden: int, heads: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, hidden, heads) for _ in range(layers))

    @property
    def row(self) -> list[DecoderLayer]:
        """The layers."""
        return list(self.layers)  # type: ignore[arg-type]


class VocabularyHead(nn.Module):
    """Everything from trajectories and image tokens to what is predicted of each trajectory."""

    def __init__(self, vocabulary: Float[Tensor, "v t 3"], *, width: int, hidden: int, heads: int, layers: int):
        super().__init__()
        self.vocab = nn.Parameter(vocabulary, requires_grad=False)
        self.transformer = Decoder(width, hidden, heads, layers)
        self.heads = nn.ModuleDict({name: _mlp(width, hidden, 1) for name in METRICS.values()})
        self.heads[IMITATION] = _mlp(width, hidden, hidden, 1)
        self.encoder = EncoderLayer(width, hidden, heads)
        self.pos_embed = _mlp(vocabulary[0].numel(), hidden, width)
        self._kept: tuple[tuple[Any, ...], Tensor] | None = None

    def encoded(self, trajectories: Float[Tensor, "*b v t 3"]) -> Float[Tensor, "_ v c"]:
        """Tokens of trajectories that know of each other, before any image."""
        tokens = self.pos_embed(trajectories.flatten(-2))
        return self.encoder(tokens if tokens.ndim == 3 else tokens[None])

    def ready(self, trajectories: Float[Tensor, "*b v t 3"]) -> Float[Tensor, "_ v c"]:
        """... and have talked once more: all that does not depend on the image."""
        return self._first.talked(self.encoded(trajectories))

    def vocabulary_ready(self) -> Float[Tensor, "1 v c"]:
        """`ready` of the vocabulary, kept until a weight that it depends on changes."""
        if torch.is_grad_enabled():
            return self.ready(self.vocab)
        state = _state(list(self._ready_weights()))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self.ready(self.vocab)
        return self._kept[1]

    def train(self, mode: bool = True) -> "VocabularyHead":
        """Between training and use, what was kept is forgotten."""
        self._kept = None if mode != self.training else self._kept
        return super().train(mode)

    def decoded(self, ready: Float[Tensor, "_ v c"], memory: Float[Tensor, "b n c"]) -> Float[Tensor, "b v c"]:
        """Tokens that know of the image.

        Args:
            ready: Of `ready`; one set of trajectories for all samples, or one each.
            memory: Image tokens.
        """
        x = self._first.looked(ready.expand(len(memory), -1, -1), memory)
        for layer in self.transformer.row[1:]:
            x = layer.looked(layer.talked(x), memory)
        return x

    def predicted(self, x: Float[Tensor, "b v c"]) -> tuple[Float[Tensor, "b m v"], Float[Tensor, "b v"]]:
        """Logits of the metrics and of imitation."""
        metrics = torch.stack([self.heads[name](x).squeeze(-1) for name in METRICS.values()], dim=1)
        return metrics, self.heads[IMITATION](x).squeeze(-1)

    @property
    def _first(self) -> DecoderLayer:
        return self.transformer.row[0]

    def _ready_weights(self) -> Iterator[Tensor]:
        yield self.vocab
        for part in (self.pos_embed, self.encoder, self._first.self_attn, self._first.norm1):
            yield from part.parameters()


def fused_attention(
    q: Float[Tensor, "b v c"], k: Float[Tensor, "b n c"], v: Float[Tensor, "b n c"], *, heads: int
) -> Float[Tensor, "b v c"]:
    """Attention of several heads, a block of weights at a time."""
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _attended(
    attention: nn.MultiheadAttention, x: Float[Tensor, "b v c"], memory: Float[Tensor, "b n c"]
) -> Float[Tensor, "b v c"]:
    """What `attention` gathers from `memory`; never the weights."""
    weight, bias, width = attention.in_proj_weight, attention.in_proj_bias, attention.embed_dim
    if x is memory:
        q, k, v = functional.linear(x, weight, bias).chunk(3, dim=-1)
    else:
        q = functional.linear(x, weight[:width], bias[:width])
        k, v = functional.linear(memory, weight[width:], bias[width:]).chunk(2, dim=-1)
    return attention.out_proj(fused_attention(q, k, v, heads=attention.num_heads))


def _mlp(*widths: int) -> nn.Sequential:
    row = nn.Sequential()
    for number, (width_in, width) in enumerate(pairwise(widths)):
        if number:
            row.append(nn.ReLU())
        row.append(nn.Linear(width_in, width))
    return row


def _state(weights: Sequence[Tensor]) -> tuple[Any, ...]:
    """What changes whenever a weight does: their sums as well, since fused optimisers do not count versions."""
    sums = torch.stack([weight.detach().sum() for weight in weights]).tolist()
    counts = [weight._version for weight in weights if not weight.is_inference()]
    return (*sums, *counts, weights[0].device, *(weight.data_ptr() for weight in weights))
