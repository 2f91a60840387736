"""Small random clouds for tests."""

import torch

from simscale.splats.gaussians import SH_RESTS, Gaussians


def random_gaussians(count: int = 50, *, degree: int = 3, seed: int = 0) -> Gaussians:
    dice = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=dice)

    return Gaussians(
        means=10 * normal(count, 3),
        log_scales=normal(count, 3) - 2,
        quats=normal(count, 4),
        logit_opacity=normal(count),
        sh_dc=normal(count, 3),
        sh_rest=0.1 * normal(count, SH_RESTS[degree], 3),
    )


def turned(gaussians: Gaussians) -> torch.Tensor:
    """Quaternions of length 1 with a positive first number: equal rotations give equal rows."""
    unit = gaussians.quats / gaussians.quats.norm(dim=1, keepdim=True)
    return unit * torch.where(unit[:, :1] < 0, -1.0, 1.0)
