"""The same picture by dense float64 torch: every Gaussian at every pixel, gradients by autograd.

Slow and obvious. It shares no line of mathematics with the fast backends, which tests hold against it; meant for a few
hundred Gaussians and small images.
"""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.view import Drawing, Limits, View, Visible

VISIBLE = 1 / 255
SPENT = 1e-4


@dataclass(frozen=True, kw_only=True)
class Footprints:
    """`m` Gaussians in one image, near to far."""

    gaussian: Int[Tensor, " m"]
    mean: Float[Tensor, "m 2"]  # px
    conic: Float[Tensor, "m 2 2"]  # inverse covariance
    opacity: Float[Tensor, " m"]
    values: Float[Tensor, "m e"]  # colour, depth, one for alpha, extra channels
    reach: Float[Tensor, "m 2"]  # half the box within which it shows, px


def draw64(gaussians: Gaussians, view: View, limits: Limits, extra: Float[Tensor, "n e"], *, sh_degree: int) -> Drawing:
    """See `render`; results are float64, and absolute gradients always come."""
    prints = [footprints(gaussians, view, camera, limits, extra, sh_degree) for camera in range(len(view))]
    sizes = [len(one.gaussian) for one in prints]
    grad, absolute = torch.zeros(2, sum(sizes), 2, dtype=torch.float64)
    planes = torch.stack(
        [
            _blend(one, view, limits.max_alpha, *slices)
            for one, *slices in zip(prints, grad.split(sizes), absolute.split(sizes), strict=True)
        ]
    )
    return Drawing(
        image=planes[..., :3],
        depth=planes[..., 3],
        alpha=planes[..., 4],
        extra=planes[..., 5:],
        visible=Visible(
            camera=torch.arange(len(view)).repeat_interleave(torch.tensor(sizes)),
            gaussian=torch.cat([one.gaussian for one in prints]),
            radius=torch.cat([one.reach.amax(-1) for one in prints]),
            grad=grad,
            absolute_grad=absolute,
        ),
    )


def footprints(
    gaussians: Gaussians,
    view: View,
    camera: int,
    limits: Limits,
    extra: Float[Tensor, "n e"],
    sh_degree: int,
    kind: torch.dtype = torch.float64,
) -> Footprints:
    """What one camera sees."""
    raw = SimpleNamespace(**{name: value.to(kind) for name, value in gaussians.tensors().items()})
    pose, lens = view.camera_from_world[camera].to(kind), view.intrinsics[camera].to(kind)
    means = raw.means
    in_camera = means @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = in_camera.unbind(-1)
    (fx, _, cx), (_, fy, cy), _ = lens.tolist()

    axes = _rotations(raw.quats) * raw.log_scales.exp()[:, None, :]
    covariance = pose[:3, :3] @ axes @ axes.mT @ pose[:3, :3].T
    spare_x, spare_y = 0.15 * view.width / fx, 0.15 * view.height / fy
    tx = (x / z).clamp(-cx / fx - spare_x, (view.width - cx) / fx + spare_x)
    ty = (y / z).clamp(-cy / fy - spare_y, (view.height - cy) / fy + spare_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z], dim=-1).reshape(-1, 2, 3)
    sharp = jacobian @ covariance @ jacobian.mT
    blurred = sharp + limits.eps2d * torch.eye(2, dtype=kind)
    opacity = raw.logit_opacity.sigmoid()
    if limits.antialiased:
        ratio = torch.linalg.det(sharp) / torch.linalg.det(blurred)
        opacity = opacity * ratio.clamp(min=max(limits.min_compensation**2, 1e-30)).sqrt()

    toward = means - torch.linalg.inv(pose)[:3, 3]
    colour = _colours(toward / toward.norm(dim=-1, keepdim=True), raw, sh_degree)
    values = torch.cat([colour, z[:, None], torch.ones_like(z)[:, None], extra.to(kind)], dim=-1)
    mean = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1)

    cut = (opacity * 255).clamp(min=1).log()
    reach = (2 * cut[:, None] * torch.diagonal(blurred, dim1=-2, dim2=-1)).sqrt().detach()
    size = torch.tensor([view.width, view.height])
    covers = ((mean - reach - 0.5).ceil().clamp(min=0) <= torch.minimum((mean + reach - 0.5).floor(), size - 1)).all(-1)
    shows = (z >= limits.near) & (z <= limits.far) & (opacity >= VISIBLE) & covers
    shows &= (reach > limits.radius_clip).any(-1)
    order = torch.argsort(z, stable=True)
    order = order[shows[order]]
    return Footprints(
        gaussian=order,
        mean=mean[order],
        conic=torch.linalg.inv(blurred[order]),
        opacity=opacity[order],
        values=values[order],
        reach=reach[order],
    )


def _blend(one: Footprints, view: View, max_alpha: float, grad: Tensor, absolute: Tensor) -> Float[Tensor, "h w e"]:
    rows, columns = torch.meshgrid(
        torch.arange(view.height, dtype=torch.float64) + 0.5,
        torch.arange(view.width, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    offset = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2) - one.mean[:, None]  # [m p 2]
    pull = offset @ one.conic
    sigma = 0.5 * (offset * pull).sum(-1)
    alpha = (one.opacity[:, None] * torch.exp(-sigma)).clamp(max=max_alpha)
    alpha = torch.where(alpha >= VISIBLE, alpha, 0.0)
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weight = torch.where(after > SPENT, alpha * before, 0.0)
    if sigma.requires_grad:
        one.mean.register_hook(lambda found: _keep(grad, found))
        sigma.register_hook(lambda found: _keep(absolute, (found[..., None] * pull).abs().sum(1)))
    return (weight.T @ one.values).reshape(view.height, view.width, -1)


def _keep(place: Tensor, found: Tensor) -> None:
    """Copies and returns nothing: what a hook returns would replace the gradient."""
    place.copy_(found.detach())


def _rotations(quats: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3 3"]:
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _colours(toward: Float[Tensor, "n 3"], raw: SimpleNamespace, degree: int) -> Float[Tensor, "n 3"]:
    """0.5 plus real spherical harmonics in their textbook form, no less than 0."""
    x, y, z = toward.unbind(-1)
    root = math.sqrt
    basis = [
        -root(3 / (4 * math.pi)) * y,
        root(3 / (4 * math.pi)) * z,
        -root(3 / (4 * math.pi)) * x,
        root(15 / (4 * math.pi)) * x * y,
        -root(15 / (4 * math.pi)) * y * z,
        root(5 / (16 * math.pi)) * (3 * z * z - 1),
        -root(15 / (4 * math.pi)) * x * z,
        root(15 / (16 * math.pi)) * (x * x - y * y),
        -root(35 / (32 * math.pi)) * y * (3 * x * x - y * y),
        root(105 / (4 * math.pi)) * x * y * z,
        -root(21 / (32 * math.pi)) * y * (5 * z * z - 1),
        root(7 / (16 * math.pi)) * z * (5 * z * z - 3),
        -root(21 / (32 * math.pi)) * x * (5 * z * z - 1),
        root(105 / (16 * math.pi)) * z * (x * x - y * y),
        -root(35 / (32 * math.pi)) * x * (x * x - 3 * y * y),
    ][: (degree + 1) ** 2 - 1]
    colour = 0.5 + raw.sh_dc / root(4 * math.pi)
    for k, harmonic in enumerate(basis):
        colour = colour + harmonic[:, None] * raw.sh_rest[:, k]
    return colour.clamp(min=0)
