"""Clouds: Gaussians under training, with what Adam and densification remember of each, and whose they are."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from simscale.splats.adam import Momenta
from simscale.splats.gaussians import Gaussians, joined


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Gaussians of one frame or of many boxes; the arrays are changed in place by training."""

    gaussians: Gaussians
    momenta: Momenta
    owner: Int[Tensor, " n"]  # whose box, where they are agents'
    pull: Float[Tensor, " n"]  # sum of the gradients by the centre in the image, in half image widths
    looks: Float[Tensor, " n"]  # how often each was seen since the sum began
    widest: Float[Tensor, " n"]  # largest radius in an image since then, share of its width

    @classmethod
    def of(cls, gaussians: Gaussians, owner: Int[Tensor, " n"] | None = None) -> "Cloud":
        """A fresh one."""
        whose = torch.full((len(gaussians),), -1) if owner is None else owner
        zeros = torch.zeros(len(gaussians), device=gaussians.means.device)
        return cls(
            gaussians=gaussians,
            momenta=Momenta.of(gaussians),
            owner=whose.to(zeros.device),
            pull=zeros,
            looks=zeros.clone(),
            widest=zeros.clone(),
        )

    def __len__(self) -> int:
        """How many."""
        return len(self.gaussians)

    def at(self, index: Tensor) -> "Cloud":
        """Some of them, by indices or by a mask."""
        return Cloud(
            gaussians=self.gaussians.at(index),
            momenta=self.momenta.at(index),
            owner=self.owner[index],
            pull=self.pull[index],
            looks=self.looks[index],
            widest=self.widest[index],
        )

    def with_more(self, more: Gaussians, owner: Int[Tensor, " m"]) -> "Cloud":
        """With some that are new: nothing is remembered of them."""
        new = Cloud.of(more, owner)
        first, second = (
            {name: torch.cat([kept[name], added[name]]) for name in kept}
            for kept, added in ((self.momenta.first, new.momenta.first), (self.momenta.second, new.momenta.second))
        )
        return Cloud(
            gaussians=joined(self.gaussians, more),
            momenta=Momenta(first=first, second=second),
            owner=torch.cat([self.owner, new.owner]),
            pull=torch.cat([self.pull, new.pull]),
            looks=torch.cat([self.looks, new.looks]),
            widest=torch.cat([self.widest, new.widest]),
        )

    def looked_at_afresh(self) -> "Cloud":
        """The same, and the sums begin again."""
        zeros = torch.zeros_like(self.pull)
        return replace(self, pull=zeros, looks=zeros.clone(), widest=zeros.clone())

    def forgotten(self, index: Tensor) -> None:
        """Adam forgets some, in place."""
        for kind in (self.momenta.first, self.momenta.second):
            for value in kind.values():
                value[index] = 0
