"""The backend `numba`: the kernels as one differentiable function of torch."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numba import get_num_threads
from torch import Tensor

from simscale.splats.blend import PLANES, blend
from simscale.splats.blend_backward import Pulls, blend_backward
from simscale.splats.cull import cull
from simscale.splats.gaussians import Gaussians
from simscale.splats.memory import Memory
from simscale.splats.project import project
from simscale.splats.project_backward import project_backward
from simscale.splats.records import EXTRAS, TILE, WORDS, Eye, Raw, Seen, Tiles
from simscale.splats.tiles import list_tiles
from simscale.splats.view import Drawing, Limits, View, Visible

Array = np.ndarray

MARGIN = 0.15
"""Of the image's width and height by which the Jacobian's place may lie outside it (gsplat, and INRIA before it)."""


def draw_numba(
    gaussians: Gaussians,
    view: View,
    limits: Limits,
    extra: Float[Tensor, "n e"],
    *,
    sh_degree: int,
    absgrad: bool,
    sparse_grad: bool = False,
    memory: Memory | None = None,
) -> Drawing:
    """See `render`. Extra channels are drawn four at a time."""
    options = {"sh_degree": sh_degree, "absgrad": absgrad, "sparse_grad": sparse_grad}
    job = _Job(view=view, limits=limits, memory=memory or Memory(), **options)
    raw, centres = gaussians.tensors().values(), view.centres()
    light, image, depth, more, *visible = _Draw.apply(job, view.camera_from_world, centres, extra[:, :EXTRAS], *raw)
    for first in range(EXTRAS, extra.shape[1], EXTRAS):
        part = _Draw.apply(job, view.camera_from_world, centres, extra[:, first : first + EXTRAS], *raw)[3]
        more = torch.cat([more, part], dim=-1)
    camera, gaussian, radius, grad, absolute = visible
    return Drawing(
        image=image,
        alpha=1 - light,
        depth=depth,
        extra=more,
        visible=Visible(camera=camera, gaussian=gaussian, radius=radius, grad=grad, absolute_grad=absolute),
    )


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is drawn besides the tensors that gradients flow to."""

    view: View
    limits: Limits
    sh_degree: int
    absgrad: bool
    sparse_grad: bool
    memory: Memory


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One camera's picture, and what its backward pass needs; the planes are padded to whole tiles."""

    eye: Eye
    seen: Seen
    tiles: Tiles
    extra: Float32[Array, "m 4"] | None  # of the records
    planes: Float32[Array, "p h w"]  # transmittance, red, green, blue, depth, four extra channels if any
    death: Float32[Array, "h w"]
    looked: Array  # Gaussians that each tile looked at
    used: Int64[Array, " v"]  # places for records that hold one

    @property
    def nbytes(self) -> int:
        """Memory that is kept until the backward pass, without the planes, and what that pass adds for a while."""
        arrays = (*self.seen[:7], *self.tiles)
        return sum(array.nbytes for array in arrays) + self.seen.slots * self.seen.records[0].nbytes


def eye_of(view: View, camera: int, limits: Limits, sh_degree: int) -> Eye:
    """One camera as kernels read it."""
    pose, lens = view.camera_from_world[camera].detach().double().numpy(), view.intrinsics[camera].detach().numpy()
    fx, fy, cx, cy = (np.float32(lens[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    centre = np.linalg.inv(pose)[:3, 3]
    spare = MARGIN * np.array([view.width / fx, view.height / fy])
    low, high = -np.array([cx / fx, cy / fy]) - spare, np.array([view.width - cx, view.height - cy]) / [fx, fy] + spare
    return Eye(
        rotation=pose[:3, :3].astype(np.float32),
        centre=centre.astype(np.float32),
        centre_rest=(centre - centre.astype(np.float32)).astype(np.float32),
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        tangents=np.array([low[0], high[0], low[1], high[1]], np.float32),
        near=np.float32(limits.near),
        far=np.float32(limits.far),
        eps2d=np.float32(limits.eps2d),
        radius_clip=np.float32(limits.radius_clip),
        min_compensation=np.float32(limits.min_compensation),
        antialiased=limits.antialiased,
        sh_degree=sh_degree,
        width=view.width,
        height=view.height,
    )


def draw_one(
    raw: Raw,
    eye: Eye,
    extra: Float32[Array, "n e"],
    max_alpha: float,
    memory: Memory,
    planes: Float32[Array, "p h w"] | None = None,
) -> Drawn:
    """Draws for one camera.

    Args:
        raw: Parameters.
        eye: The camera.
        extra: Up to four more channels.
        max_alpha: Largest opacity of one Gaussian at one pixel.
        memory: Where large arrays come from.
        planes: Where to draw, from `room_of`.
    """
    threads = get_num_threads()
    candidates, starts = cull(raw, eye, threads)
    records = memory.array(int(starts[-1]) + 1, WORDS)
    seen, spans = project(raw, eye, candidates, starts, records, threads)
    tiles = list_tiles(seen, spans, eye.width, eye.height, threads)
    own = None
    if extra.shape[1]:
        own = np.zeros((len(seen.gaussian), EXTRAS), np.float32)
        own[:, : extra.shape[1]] = extra[seen.gaussian]
    room = room_of(eye, 1, own is not None, memory)[0] if planes is None else planes
    death = memory.array(*room.shape[1:])
    looked = blend(
        seen, tiles, own, eye.width, eye.height, np.float32(max_alpha), room.reshape(-1), death.reshape(-1), threads
    )
    used = np.flatnonzero(seen.gaussian >= 0)
    return Drawn(eye=eye, seen=seen, tiles=tiles, extra=own, planes=room, death=death, looked=looked, used=used)


def room_of(eye: Eye, cameras: int, extra: bool, memory: Memory) -> Float32[Array, "c p h w"]:
    """Room for the planes of some cameras, padded to whole tiles."""
    rows, stride = (TILE * -(-side // TILE) for side in (eye.height, eye.width))
    return memory.array(cameras, PLANES + EXTRAS if extra else PLANES, rows, stride)


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """One camera's gradients; a row for each Gaussian that it saw."""

    gaussian: Int64[Array, " v"]
    raw: Raw
    extra: Float32[Array, "v 4"] | None
    pose: Array  # [15]: rotation by rows, translation, centre as far as colours depend on it


def _turn_one(job: _Job, drawn: Drawn, pulls: Pulls, raw: Raw, by_centre: Float32[Array, "v 4"]) -> _Turned:
    """The backward pass of one camera; writes gradients by the centres to `by_centre`."""
    threads, eye, seen, memory = get_num_threads(), drawn.eye, drawn.seen, job.memory
    sums = memory.array(seen.slots, WORDS)
    blend_backward(
        seen,
        drawn.tiles,
        drawn.looked,
        drawn.extra,
        True if job.absgrad else None,
        eye.width,
        eye.height,
        np.float32(job.limits.max_alpha),
        drawn.planes[0].reshape(-1),
        drawn.death.reshape(-1),
        pulls,
        sums,
        threads,
    )
    count = len(drawn.used)
    rows = Raw(*(memory.array(count, *array.shape[1:]) for array in raw))
    by_extra = None if drawn.extra is None else memory.array(count, EXTRAS)
    pose = project_backward(seen, sums, raw, eye, rows, by_extra, by_centre, threads)
    gaussian = seen.gaussian.take(drawn.used).astype(np.int64)
    return _Turned(gaussian=gaussian, raw=rows, extra=by_extra, pose=pose)


def _flat(pull: Tensor | None, camera: int) -> Float32[Array, " n"]:
    """One camera's part of a gradient; nothing of none."""
    return np.ascontiguousarray(pull[camera].numpy()).reshape(-1) if pull is not None else np.empty(0, np.float32)


def _dense(parts: list[tuple[Array, Array]], shape: tuple[int, ...]) -> Tensor:
    """The sum of the cameras' rows, each with its Gaussian, as one array of all Gaussians."""
    dense = torch.from_numpy(np.zeros(shape, np.float32))  # pages of zeros until they are written
    for gaussian, rows in parts:
        dense.index_add_(0, torch.from_numpy(gaussian), torch.from_numpy(rows))
    return dense


def _sparse(parts: list[tuple[Array, Array]], shape: tuple[int, ...]) -> Tensor:
    """The same as a sparse tensor of the cameras' rows one after another."""
    gaussian, rows = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    return torch.sparse_coo_tensor(
        torch.from_numpy(gaussian)[None], torch.from_numpy(rows), shape, check_invariants=False
    )


def raw_of(tensors: Iterable[Tensor]) -> Raw:
    """Parameters in the order of `Gaussians` as kernels read them."""
    return Raw(*(np.ascontiguousarray(tensor.detach().numpy()) for tensor in tensors))


class _Draw(torch.autograd.Function):
    """Transmittance [c h w], image [c h w 3], depth [c h w], extra channels [c h w e], and who was seen.

    From poses [c 4 4], centres [c 3], extra channels [n e] and raw parameters.
    """

    @staticmethod
    def forward(ctx, job, poses, centres, extra, *raw):
        view, arrays, own = job.view, raw_of(raw), extra.detach().numpy()
        eyes = [eye_of(view, camera, job.limits, job.sh_degree) for camera in range(len(view))]
        room = room_of(eyes[0], len(eyes), extra.shape[1] > 0, job.memory)
        pairs = zip(eyes, room, strict=True)
        drawn = [draw_one(arrays, eye, own, job.limits.max_alpha, job.memory, planes) for eye, planes in pairs]
        gaussian = np.concatenate([one.seen.gaussian.take(one.used) for one in drawn])
        found = (
            torch.cat([torch.full((len(one.used),), camera) for camera, one in enumerate(drawn)]),
            torch.from_numpy(gaussian).long(),
            torch.from_numpy(np.concatenate([one.seen.radius.take(one.used) for one in drawn])),
        )
        by_centre = torch.zeros(len(gaussian), 4)
        grads = by_centre.split(2, dim=1)
        ctx.job, ctx.drawn, ctx.by_centre = job, drawn, by_centre.numpy()
        ctx.save_for_backward(extra, *raw)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*found, *grads)
        room = room[:, :, : view.height, : view.width]
        parts = room[:, 0], room[:, 1:4].transpose(0, 2, 3, 1), room[:, 4], room[:, 5 : 5 + extra.shape[1]]
        light, image, depth, more = map(torch.from_numpy, parts)
        return light, image, depth, more.permute(0, 2, 3, 1), *found, *grads

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, light, image, depth, more, *_):
        extra, *raw = ctx.saved_tensors
        job, arrays = ctx.job, raw_of(raw)
        turned, first = [], 0
        for camera, one in enumerate(ctx.drawn):
            pulls = Pulls(*(_flat(pull, camera) for pull in (light, image, depth, more)))
            last = first + len(one.used)
            turned.append(_turn_one(job, one, pulls, arrays, ctx.by_centre[first:last]))
            first = last
        pose = torch.from_numpy(np.stack([one.pose for one in turned])).float()
        by_poses = torch.zeros(len(pose), 4, 4)
        by_poses[:, :3, :3], by_poses[:, :3, 3] = pose[:, :9].reshape(-1, 3, 3), pose[:, 9:12]
        by_extra = None
        if extra.shape[1]:
            by_extra = _dense([(one.gaussian, one.extra) for one in turned], (len(extra), EXTRAS))[:, : extra.shape[1]]
        whole = _sparse if job.sparse_grad else _dense
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse invariant checks")  # torch 2.11 says it although it was told
            by_raw = [whole([(one.gaussian, one.raw[i]) for one in turned], a.shape) for i, a in enumerate(arrays)]
        return None, by_poses, pose[:, 12:], by_extra, *by_raw
