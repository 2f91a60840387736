"""Adam for small tables of which a step touches one row: exposures and corrections of poses."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-15


@dataclass(frozen=True, kw_only=True)
class RowTable:
    """Parameters and what Adam remembers of each row; changed in place."""

    value: Float[Tensor, "r *k"]
    first: Float[Tensor, "r *k"]
    second: Float[Tensor, "r *k"]
    steps: Int[Tensor, " r"]  # of each row so far

    @classmethod
    def of(cls, value: Float[Tensor, "r *k"]) -> "RowTable":
        """A fresh one."""
        zeros = torch.zeros_like(value)
        steps = torch.zeros(len(value), dtype=torch.int64, device=value.device)
        return cls(value=value.clone(), first=zeros, second=zeros.clone(), steps=steps)

    def leaf(self, row: int) -> Tensor:
        """One row, to differentiate by."""
        return self.value[row].clone().requires_grad_()

    def move(self, row: int, grad: Tensor | None, rate: float) -> None:
        """One step of one row."""
        if grad is None:
            return
        self.steps[row] += 1
        count = int(self.steps[row])
        first = self.first[row].mul_(BETAS[0]).add_(grad, alpha=1 - BETAS[0])
        second = self.second[row].mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        mean, spread = first / (1 - BETAS[0] ** count), (second / (1 - BETAS[1] ** count)).sqrt()
        self.value[row] -= rate * mean / (spread + EPS)

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """All arrays by name, for a checkpoint."""
        return {f"{prefix}.{name}": getattr(self, name) for name in ("value", "first", "second", "steps")}

    @classmethod
    def read(cls, tensors: dict[str, Tensor], prefix: str) -> "RowTable":
        """What `tensors` named."""
        return cls(**{name: tensors[f"{prefix}.{name}"] for name in ("value", "first", "second", "steps")})
