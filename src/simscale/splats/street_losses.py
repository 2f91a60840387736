"""Losses of a street: what a picture and a LiDAR say, and what shapes Gaussians should have.

The terms on shapes are means over many Gaussians with gradients in closed form, added to those that drawing left
behind; as autograd they would cost as much as drawing.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.loss import photometric
from simscale.splats.pictures import Picture
from simscale.splats.settings import LossSettings
from simscale.splats.view import Drawing


def exposed(image: Float[Tensor, "c h w 3"], affine: Float[Tensor, "3 4"]) -> Float[Tensor, "c h w 3"]:
    """What a camera makes of colours."""
    return image @ affine[:, :3].T + affine[:, 3]


def picture_loss(
    drawing: Drawing, picture: Picture, affine: Float[Tensor, "3 4"], settings: LossSettings
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Colours and depth against one picture.

    Args:
        drawing: Of its camera alone.
        picture: What it saw, on the same device.
        affine: Its exposure. L1 is taken after it, SSIM before it (MTGS).
        settings: Weights.

    Returns:
        The loss, and the mean squared error of the exposed colours.
    """
    target = picture.target()
    apart = exposed(drawing.image, affine) - target
    mask = None if picture.valid is None else picture.valid[None]
    if mask is not None:
        apart = apart * mask[..., None]
    count = 3 * int(mask.sum()) if mask is not None else apart.numel()
    loss = settings.l1 * apart.abs().sum() / max(count, 1)
    loss = loss + photometric(drawing.image, target, l1=0.0, ssim=settings.ssim, mask=mask)
    if settings.depth > 0 and len(picture.depth):
        loss = loss + settings.depth * depth_loss(drawing, picture, settings.depth_range)
    return loss, apart.detach().square().sum() / max(count, 1)


def depth_loss(drawing: Drawing, picture: Picture, bounds: tuple[float, float]) -> Float[Tensor, ""]:
    """Mean of |1/d - 1/d'| at LiDAR points within bounds, where anything is drawn."""
    column, row = picture.pixel[:, 0].long(), picture.pixel[:, 1].long()
    within = (picture.depth > bounds[0]) & (picture.depth < bounds[1])
    column, row, measured = column[within], row[within], picture.depth[within]
    alpha, depth = drawing.alpha[0, row, column], drawing.depth[0, row, column]
    some = alpha.detach() > 0.05
    inverse = alpha[some] / depth[some].clamp(min=bounds[0])
    return (inverse - 1 / measured[some]).abs().sum() / max(len(measured), 1)


def add_shape_slopes(
    gaussians: Gaussians,
    rows: Int[Tensor, " m"],
    slopes: dict[str, Tensor],
    counted: Bool[Tensor, " m"],
    settings: LossSettings,
    *,
    sharp: bool,
    mcmc: bool,
) -> None:
    """Adds gradients of the terms on shapes to those that drawing found.

    Args:
        gaussians: All.
        rows: Those that were seen.
        slopes: Their gradients by name, changed in place.
        counted: Over which of them the means are.
        settings: Weights.
        sharp: Whether the sharpness term is due at this step.
        mcmc: Whether opacities and scales are kept small (3DGS-MCMC).
    """
    share = counted / counted.sum().clamp(min=1)
    logs = gaussians.log_scales.detach()[rows]
    scale = logs.exp() * share[:, None]
    least = logs.argmin(dim=1, keepdim=True)
    slope = torch.zeros_like(scale).scatter_(1, least, settings.flatness * scale.gather(1, least))
    if sharp:
        order = logs.argsort(dim=1)
        ratio = (logs.gather(1, order[:, 2:]) - logs.gather(1, order[:, 1:2])).exp()
        excess = torch.where(ratio > settings.sharpness_ratio, ratio, ratio.new_zeros(()))
        pull = settings.sharpness * share[:, None] * excess
        slope.scatter_add_(1, order[:, 2:], pull).scatter_add_(1, order[:, 1:2], -pull)
    if mcmc:
        slope += settings.scale / 3 * scale
        opacity = torch.sigmoid(gaussians.logit_opacity.detach()[rows])
        slopes["logit_opacity"] += settings.opacity * share * opacity * (1 - opacity)
    slopes["log_scales"] += slope


def add_box_slopes(
    means: Float[Tensor, "n 3"], half: Float[Tensor, "n 3"], counted: Bool[Tensor, " n"], settings: LossSettings
) -> None:
    """Adds to `means.grad` what keeps an agent's Gaussians in its box: the mean distance outside it.

    Args:
        means: Leaf, in the boxes' frames.
        half: Half the size of the box of each, m.
        counted: Over whom the mean is.
        settings: Weight and tolerance.
    """
    beyond = (means.detach().abs() - half - settings.box_tolerance).clamp(min=0) * means.detach().sign()
    length = beyond.norm(dim=1, keepdim=True).clamp(min=1e-9)
    share = settings.out_of_box / max(int(counted.sum()), 1)
    assert means.grad is not None, "drawing has not been turned back"
    means.grad.add_(beyond / length * share * counted[:, None])
