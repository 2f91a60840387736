"""Densification: where Gaussians are missing they multiply, and where they are of no use they die.

Two strategies with one signature, for any backend. `mcmc` (Kheradmand et al. 2024) moves the dead onto the living, adds
a few percent each time up to a hard cap, and lets the transparent walk at random. `default` (Kerbl et al. 2023 with
absolute gradients and MTGS's numbers) clones or splits those whose centre the loss pulls at, most pulled first where
the cap (ours) is near, and removes what is transparent or too large.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from simscale.splats.cloud import Cloud
from simscale.splats.gaussians import Gaussians
from simscale.splats.settings import DensifySettings

Array = np.ndarray

MOST_COPIES = 51
"""Of one Gaussian at once (3DGS-MCMC's table)."""
LEAST_SHARE = 1e-6


def densified(
    cloud: Cloud, *, cap: int, settings: DensifySettings, random: np.random.Generator, distance: Float[Tensor, " n"]
) -> Cloud:
    """One round of the chosen strategy.

    Args:
        cloud: With its sums since the last round.
        cap: The most there may be.
        settings: Strategy and numbers.
        random: Of this round.
        distance: Of each from the nearest camera, m.
    """
    if not len(cloud):
        return cloud
    if settings.strategy == "mcmc":
        moved = relocated(cloud, settings=settings, random=random)
        return grown(moved, cap=cap, settings=settings, random=random).looked_at_afresh()
    return multiplied(cloud, cap=cap, settings=settings, random=random, distance=distance)


def relocated(cloud: Cloud, *, settings: DensifySettings, random: np.random.Generator) -> Cloud:
    """The dead become copies of the living, drawn by opacity."""
    opacity = torch.sigmoid(cloud.gaussians.logit_opacity)
    dead = opacity <= settings.least_opacity
    if not dead.any() or dead.all():
        return cloud
    places, living = dead.nonzero()[:, 0], (~dead).nonzero()[:, 0]
    chosen = living[_drawn(_weight(cloud, settings)[living], len(places), random)]
    _share(cloud, chosen)
    for value in (*cloud.gaussians.tensors().values(), cloud.owner, cloud.pull, cloud.looks):
        value[places] = value[chosen]
    cloud.forgotten(torch.cat([places, chosen]))
    return cloud


def grown(cloud: Cloud, *, cap: int, settings: DensifySettings, random: np.random.Generator) -> Cloud:
    """A few percent more, copies drawn by opacity."""
    count = min(int(len(cloud) * settings.growth), cap - len(cloud))
    if count <= 0:
        return cloud
    chosen = _drawn(_weight(cloud, settings), count, random)
    _share(cloud, chosen)
    cloud.forgotten(chosen)
    return cloud.with_more(cloud.gaussians.at(chosen), cloud.owner[chosen])


def _weight(cloud: Cloud, settings: DensifySettings) -> Float[Tensor, " n"]:
    """How likely each is copied."""
    opacity = torch.sigmoid(cloud.gaussians.logit_opacity)
    if not settings.by_pull or not cloud.looks.any():
        return opacity
    return opacity * cloud.pull / cloud.looks.clamp(min=1)


def _drawn(weight: Float[Tensor, " n"], count: int, random: np.random.Generator) -> Int[Tensor, " m"]:
    """Indices drawn with replacement."""
    upto = np.cumsum(weight.double().cpu().numpy())
    found = np.searchsorted(upto, random.random(count) * upto[-1], side="right")
    return torch.from_numpy(np.minimum(found, len(upto) - 1)).to(weight.device)


def _share(cloud: Cloud, chosen: Int[Tensor, " m"]) -> None:
    """Gives those that are about to be copied the opacity and size at which all copies together look as one did.

    3DGS-MCMC, equation 9.
    """
    gaussians = cloud.gaussians
    which, copies = torch.unique(chosen, return_counts=True)
    number = (copies + 1).clamp(max=MOST_COPIES)
    opacity = torch.sigmoid(gaussians.logit_opacity[which]).double().clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    each = 1 - (1 - opacity) ** (1 / number)
    total = torch.zeros_like(each)
    for i in range(1, int(number.max()) + 1):
        inner = sum(math.comb(i - 1, k) * (-1) ** k / math.sqrt(k + 1) * each ** (k + 1) for k in range(i))
        total = torch.where(number >= i, total + inner, total)
    each = each.clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    gaussians.log_scales[which] += torch.log((opacity / total).clamp(1e-3, 1.0)).float()[:, None]
    gaussians.logit_opacity[which] = torch.log(each / (1 - each)).float()


def walk(cloud: Cloud, *, size: float, random: np.random.Generator) -> None:
    """The transparent take a random step, as far as they are large (3DGS-MCMC's noise).

    Args:
        cloud: Moved in place.
        size: Of the step, in covariances.
        random: Of this step.
    """
    opacity = torch.sigmoid(cloud.gaussians.logit_opacity)
    loose = (opacity < 0.06).nonzero()[:, 0]
    if not len(loose):
        return
    some = cloud.gaussians.at(loose)
    weight = torch.sigmoid(100 * (0.005 - opacity[loose]))[:, None]
    draw = torch.from_numpy(random.standard_normal((len(loose), 3), dtype=np.float32)).to(some.means.device)
    spread = axes_of(some)  # columns are axes times their deviation
    step = (spread @ (spread.transpose(1, 2) @ (draw * weight * size)[:, :, None]))[:, :, 0]
    cloud.gaussians.means[loose] += step


def axes_of(gaussians: Gaussians) -> Float[Tensor, "n 3 3"]:
    """A square root of the covariances: rotation times deviations."""
    w, x, y, z = torch.nn.functional.normalize(gaussians.quats, dim=1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    rotation = torch.stack(rows, dim=-1).reshape(-1, 3, 3)
    return rotation * gaussians.log_scales.exp()[:, None, :]


def multiplied(
    cloud: Cloud, *, cap: int, settings: DensifySettings, random: np.random.Generator, distance: Float[Tensor, " n"]
) -> Cloud:
    """Clones and splits, then removes."""
    largest = cloud.gaussians.log_scales.exp().max(dim=1).values
    pull = cloud.pull / cloud.looks.clamp(min=1)
    wanted = (pull > settings.absolute_gradient) | (cloud.widest > settings.split_pixels / 960)
    room = cap - len(cloud)
    if int(wanted.sum()) > room:
        first = torch.argsort(torch.where(wanted, pull, torch.full_like(pull, -1)), descending=True, stable=True)
        wanted = torch.zeros_like(wanted)
        wanted[first[: max(room, 0)]] = True
    split = wanted & ((largest > settings.large) | (cloud.widest > settings.split_pixels / 960))
    clone = (wanted & ~split).nonzero()[:, 0]
    halves, whose = _halves(cloud, split.nonzero()[:, 0], settings, random)
    clones = cloud.gaussians.at(clone)
    limit = torch.where(distance > settings.far, settings.prune_size * settings.far_factor, settings.prune_size)
    kept = torch.sigmoid(cloud.gaussians.logit_opacity) > settings.least_opacity
    kept &= ~split & (largest < limit) & (cloud.widest < settings.prune_pixels / 960)
    owner = cloud.owner
    cloud = replace(cloud).at(kept).with_more(clones, owner[clone])
    return cloud.with_more(halves, whose).looked_at_afresh()


def _halves(
    cloud: Cloud, chosen: Int[Tensor, " m"], settings: DensifySettings, random: np.random.Generator
) -> tuple[Gaussians, Int[Tensor, " k"]]:
    """Smaller ones at places drawn from those that are split."""
    index = chosen.repeat(settings.split_into)
    some = cloud.gaussians.at(index)
    draw = torch.from_numpy(random.standard_normal((len(index), 3), dtype=np.float32)).to(some.means.device)
    means = some.means + (axes_of(some) @ draw[:, :, None])[:, :, 0]
    parts = some.tensors() | {"means": means, "log_scales": some.log_scales - math.log(settings.split_shrinks)}
    return Gaussians(**parts), cloud.owner[index]


def lowered(cloud: Cloud, *, to: float) -> None:
    """No opacity stays above `to`, in place; Adam forgets them (3DGS's reset)."""
    logit = cloud.gaussians.logit_opacity
    logit.clamp_(max=math.log(to / (1 - to)))
    for kind in (cloud.momenta.first, cloud.momenta.second):
        kind["logit_opacity"].zero_()
