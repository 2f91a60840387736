"""The backend `numba`: the kernels as one differentiable function of torch."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numba import get_num_threads
from torch import Tensor

from simscale.splats import records as rec
from simscale.splats.blend import PLANES, blend
from simscale.splats.blend_backward import blend_backward
from simscale.splats.gaussians import Gaussians
from simscale.splats.project import see
from simscale.splats.project_backward import see_backward
from simscale.splats.records import EXTRAS, Eye, Seen, Tiles
from simscale.splats.tiles import list_tiles
from simscale.splats.view import Drawing, Limits, View, Visible

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is drawn besides the tensors that gradients flow to."""

    intrinsics: Array  # [c 3 3]
    width: int
    height: int
    limits: Limits
    sh_degree: int
    absgrad: bool


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What one camera's backward pass needs."""

    eye: Eye
    seen: Seen
    rows: Array
    tiles: Tiles
    extra: Array | None  # of the records
    transmittance: Array
    death: Array
    looked: Array


def draw_numba(
    gaussians: Gaussians, view: View, limits: Limits, extra: Float[Tensor, "n e"], *, sh_degree: int, absgrad: bool
) -> Drawing:
    """See `render`. Extra channels are drawn four at a time."""
    job = _Job(
        intrinsics=view.intrinsics.detach().double().numpy(),
        width=view.width,
        height=view.height,
        limits=limits,
        sh_degree=sh_degree,
        absgrad=absgrad,
    )
    raw = gaussians.tensors().values()
    planes, *visible = _Draw.apply(job, view.camera_from_world, view.centres(), extra[:, :EXTRAS], *raw)
    more = [planes[..., PLANES:]]
    for first in range(EXTRAS, extra.shape[1], EXTRAS):
        part = extra[:, first : first + EXTRAS]
        more.append(_Draw.apply(job, view.camera_from_world, view.centres(), part, *raw)[0][..., PLANES:])
    camera, gaussian, radius, grad, absolute = visible
    return Drawing(
        image=planes[..., 1:4],
        alpha=1 - planes[..., 0],
        depth=planes[..., 4],
        extra=torch.cat(more, dim=-1) if len(more) > 1 else more[0],
        visible=Visible(camera=camera, gaussian=gaussian, radius=radius, grad=grad, absolute_grad=absolute),
    )


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(ctx, job, poses, centres, extra, *raw):
        arrays = tuple(np.ascontiguousarray(tensor.detach().numpy()) for tensor in raw)
        drawn, planes = [], []
        for camera in range(len(poses)):
            one, picture = _draw_one(job, camera, poses, centres, extra, arrays)
            drawn.append(one)
            planes.append(torch.from_numpy(picture))
        counts = [one.seen.gaussian >= 0 for one in drawn]
        gaussian = np.concatenate([one.seen.gaussian[used] for one, used in zip(drawn, counts, strict=True)])
        box = np.concatenate(
            [one.seen.records[:-1][used][:, [rec.WIDE, rec.HIGH]] for one, used in zip(drawn, counts, strict=True)]
        )
        camera = np.repeat(np.arange(len(poses)), [used.sum() for used in counts])
        found = [torch.from_numpy(x) for x in (camera, gaussian.astype(np.int64), box.max(axis=1))]
        grads = [torch.zeros(len(gaussian), 2) for _ in range(2)]
        ctx.job, ctx.drawn, ctx.grads = job, drawn, grads
        ctx.save_for_backward(extra, *raw)
        ctx.mark_non_differentiable(*found, *grads)
        planes = torch.stack(planes) if len(planes) > 1 else planes[0][None]
        return planes[:, :, : job.height, : job.width].permute(0, 2, 3, 1), *found, *grads

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, pull, *_):
        extra, *raw = ctx.saved_tensors
        arrays = tuple(np.ascontiguousarray(tensor.detach().numpy()) for tensor in raw)
        grads = tuple(np.zeros_like(array) for array in arrays)
        by_extra = np.zeros((len(extra), EXTRAS), np.float32) if extra.shape[1] else None
        poses, centres = np.zeros((len(ctx.drawn), 4, 4), np.float32), np.zeros((len(ctx.drawn), 3), np.float32)
        found = [[], []]
        for camera, one in enumerate(ctx.drawn):
            pose, *by_centre = _turn_one(ctx.job, one, pull[camera], arrays, grads, by_extra)
            poses[camera, :3, :3], poses[camera, :3, 3], centres[camera] = pose[:9].reshape(3, 3), pose[9:12], pose[12:]
            for kept, values in zip(found, by_centre, strict=True):
                kept.append(values[one.seen.gaussian >= 0])
        for kept, values in zip(ctx.grads, found, strict=True):
            kept.copy_(torch.from_numpy(np.concatenate(values)))
        by_extra = torch.zeros_like(extra) if by_extra is None else torch.from_numpy(by_extra[:, : extra.shape[1]])
        return None, torch.from_numpy(poses), torch.from_numpy(centres), by_extra, *map(torch.from_numpy, grads)


def _draw_one(job: _Job, camera: int, poses: Tensor, centres: Tensor, extra: Tensor, arrays: tuple[Array, ...]):
    """Planes of one camera: transmittance, colour, depth, extra channels."""
    limits, lens, pose = job.limits, job.intrinsics[camera], poses[camera].detach().double().numpy()
    eye = Eye(
        rotation=np.ascontiguousarray(pose[:3, :3]),
        translation=np.ascontiguousarray(pose[:3, 3]),
        centre=centres[camera].detach().double().numpy(),
        fx=float(lens[0, 0]),
        fy=float(lens[1, 1]),
        cx=float(lens[0, 2]),
        cy=float(lens[1, 2]),
        width=job.width,
        height=job.height,
        near=limits.near,
        far=limits.far,
        eps2d=limits.eps2d,
        radius_clip=limits.radius_clip,
        min_compensation=limits.min_compensation,
        antialiased=limits.antialiased,
        sh_degree=job.sh_degree,
    )
    threads = get_num_threads()
    seen, rows, spans = see(*arrays, eye, threads)
    tiles = list_tiles(seen, rows, spans, job.width, job.height, threads)
    own = None
    if extra.shape[1]:
        own = np.zeros((len(seen.gaussian), EXTRAS), np.float32)
        own[:, : extra.shape[1]] = extra.detach().numpy()[seen.gaussian]
    planes, death, looked = blend(seen, tiles, own, job.width, job.height, np.float32(limits.max_alpha), threads)
    planes = planes[: PLANES + extra.shape[1]]
    drawn = _Drawn(
        eye=eye, seen=seen, rows=rows, tiles=tiles, extra=own, transmittance=planes[0], death=death, looked=looked
    )
    return drawn, planes


def _turn_one(job: _Job, one: _Drawn, pull: Tensor, arrays, grads, by_extra: Array | None):
    """Adds one camera's gradients; returns its pose's and those by the centres in the image."""
    threads, means = get_num_threads(), arrays[0]
    padded = np.zeros((PLANES if one.extra is None else PLANES + EXTRAS, *one.death.shape), np.float32)
    padded[: pull.shape[-1], : job.height, : job.width] = pull.permute(2, 0, 1).numpy()
    padded[0] *= -1
    sums = blend_backward(
        one.seen,
        one.tiles,
        one.looked,
        one.extra,
        True if job.absgrad else None,
        job.width,
        job.height,
        np.float32(job.limits.max_alpha),
        one.transmittance.reshape(-1),
        one.death.reshape(-1),
        padded.reshape(-1),
        threads,
    )
    by_centre, by_centre_abs = np.empty((2, len(one.seen.gaussian), 2), np.float32)
    means, scales, quats, opacity, _, rest = arrays
    pose = see_backward(
        one.seen,
        one.rows,
        sums,
        (means, scales, quats, opacity, rest),
        one.eye,
        grads,
        by_extra,
        by_centre,
        by_centre_abs,
        threads,
    )
    return pose, by_centre, by_centre_abs
