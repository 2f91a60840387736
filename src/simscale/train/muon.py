"""Muon: an optimiser that steps equally far along every direction of a weight matrix.

A gradient of a matrix is dominated by a few directions; what is rare but decisive, such as the metre between the lane
and the kerb, hides in the others. Muon takes the running mean of the gradients, replaces its singular values by ones,
nearly, and steps along that: after 1,600 steps LTF nano errs a third less to the side than with Adam (docs/LOG.md has
the figures). It is for the matrices within a network; biases, norms, embeddings and the last layers
of heads are Adam's, see `optimisers_of`.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". Agrees with `torch.optim.Muon`,
which takes matrices alone and rounds to bfloat16, where ours takes convolutions as well, as matrices with a row for
each output channel, and keeps float32.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial whose iteration brings singular values near to 1 (Jordan et al.)."""
ITERATIONS = 5
SMALLEST_NORM = 1e-7


class Muon(torch.optim.Optimizer):
    """See the module."""

    def __init__(self, params: Iterable[Any], lr: float, *, momentum: float = 0.95, weight_decay: float = 0.0):
        """`params`: two axes or more; `lr` is the length of a step along each direction, before `_stretch`."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        assert closure is None, "the loop has its own"
        for group in self.param_groups:
            taught = [p for p in group["params"] if p.grad is not None]
            means = [self._mean_gradient(p, group["momentum"]) for p in taught]
            for p, along in zip(taught, orthogonalised(means), strict=True):
                if group["weight_decay"]:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                inputs_last = p.movedim(1, -1)
                inputs_last.add_(along.view_as(inputs_last), alpha=-group["lr"] * _stretch(*along.shape))

    def _mean_gradient(self, p: Tensor, momentum: float) -> Float[Tensor, "rows columns"]:
        """Nesterov's: what the running mean will be if the next gradient is like this one.

        The columns of a convolution come in the order in which channels-last memory has them.
        """
        assert p.grad is not None and p.ndim >= 2
        state = self.state[p]
        if not state:
            state["mean"] = torch.zeros_like(p)
        state["mean"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(state["mean"], momentum).movedim(1, -1).flatten(1)


def orthogonalised(matrices: list[Float[Tensor, "_ _"]]) -> list[Float[Tensor, "_ _"]]:
    """Each matrix with its singular values brought near to 1 (0.7 to 1.2).

    Every iterate is a polynomial of `X X'` times the first `X`, so all but two products are of the smaller side alone,
    and matrices that share a smaller side go through them together.
    """
    alike: dict[int, dict[tuple[int, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, matrix in enumerate(matrices):
        rows, columns = matrix.shape
        alike[min(rows, columns)][rows, columns].append(place)
    done: dict[int, Tensor] = {}
    for by_shape in alike.values():
        stacks = [torch.stack([matrices[place] for place in places]) for places in by_shape.values()]
        factors = _newton_schulz(torch.cat([_gram(x) for x in stacks])).split([len(x) for x in stacks])
        for places, x, factor in zip(by_shape.values(), stacks, factors, strict=True):
            done.update(zip(places, factor @ x if _is_wide(x) else x @ factor, strict=True))
    return [done[place] for place in range(len(matrices))]


def _is_wide(x: Float[Tensor, "n rows columns"]) -> bool:
    return x.shape[1] <= x.shape[2]


def _gram(x: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n side side"]:
    """`X X'`, or `X' X` where that is smaller."""
    return x @ x.mT if _is_wide(x) else x.mT @ x


def _newton_schulz(gram: Float[Tensor, "n side side"]) -> Float[Tensor, "n side side"]:
    """What to multiply each `X` by, from its `X X'`, whose trace is the square of its norm."""
    a, b, c = NEWTON_SCHULZ
    length = gram.diagonal(dim1=1, dim2=2).sum(dim=1).sqrt()[:, None, None] + SMALLEST_NORM
    gram = gram / length.square()
    whole = 1 / length
    for iteration in range(ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        whole = factor * whole if iteration == 0 else factor @ whole
        if iteration + 1 < ITERATIONS:
            gram = factor @ gram @ factor
    return whole


def _stretch(rows: int, columns: int) -> float:
    """A tall matrix has fewer directions than outputs; its step is lengthened so that outputs change alike."""
    return math.sqrt(max(1.0, rows / columns))
