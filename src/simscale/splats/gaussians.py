"""Gaussians: a cloud of soft ellipsoids in the raw numbers that training moves.

Raw means that every real number is allowed: scales are logarithms, opacities logits, quaternions of any length. What
draws them applies exp, sigmoid and normalisation itself, so that their gradients are fused with the rest.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float32
from torch import Tensor

SH_RESTS = (0, 3, 8, 15)
"""Coefficients of spherical harmonics beyond the constant one, for degree 0 to 3."""


@dataclass(frozen=True, kw_only=True)
class Gaussians:
    """`n` Gaussians in one frame; `k` is one of SH_RESTS."""

    means: Float32[Tensor, "n 3"]  # m
    log_scales: Float32[Tensor, "n 3"]  # of the standard deviations along the own axes, log m
    quats: Float32[Tensor, "n 4"]  # frame_from_own, wxyz, not normalised
    logit_opacity: Float32[Tensor, " n"]
    sh_dc: Float32[Tensor, "n 3"]  # colour is 0.5 + 0.2820948 times this, before the view's share
    sh_rest: Float32[Tensor, "n k 3"]

    def __len__(self) -> int:
        """How many."""
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics."""
        return SH_RESTS.index(self.sh_rest.shape[1])

    def tensors(self) -> dict[str, Tensor]:
        """All parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device) -> "Gaussians":
        """The same on a device."""
        return Gaussians(**{name: value.to(device) for name, value in self.tensors().items()})

    def at(self, index: Tensor) -> "Gaussians":
        """Some of them, by indices or by a mask."""
        return Gaussians(**{name: value[index] for name, value in self.tensors().items()})


def joined(*parts: Gaussians) -> Gaussians:
    """All in one cloud; they must stand in one frame and have one degree."""
    names = parts[0].tensors()
    return Gaussians(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})
