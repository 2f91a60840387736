"""The backend `gsplat`: the same picture on CUDA, by the field's library.

gsplat compiles its kernels when first used, so it is imported only where a CUDA device is. Some thresholds are compiled
in and differ between its versions; asking for others is refused rather than ignored.
"""

import importlib.metadata
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.view import Drawing, Limits, View, Visible

COMPILED_IN = {"1.4": (0.999, 0.0), "1.5": (0.999, 0.0), "1.6": (0.99, 0.005)}
"""`max_alpha` and `min_compensation` of gsplat's versions."""


def missing_gsplat() -> str | None:
    """Why this backend cannot be used here; None where it can."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        version = importlib.metadata.version("gsplat")
    except importlib.metadata.PackageNotFoundError:
        return "gsplat is not installed; simscale's extra [gpu] brings it"
    if _short(version) not in COMPILED_IN:
        return f"gsplat is {version}, and only {', '.join(COMPILED_IN)} are known"
    return None


def compiled(limits: Limits) -> Limits:
    """The same limits, with what the installed gsplat has compiled in."""
    max_alpha, min_compensation = COMPILED_IN[_short(importlib.metadata.version("gsplat"))]
    return replace(limits, max_alpha=max_alpha, min_compensation=min_compensation)


def _short(version: str) -> str:
    """Without its last number."""
    return ".".join(version.split(".")[:2])


def draw_gsplat(
    gaussians: Gaussians, view: View, limits: Limits, extra: Float[Tensor, "n e"], *, sh_degree: int, absgrad: bool
) -> Drawing:
    """See `render`."""
    assert gaussians.means.is_cuda, missing_gsplat() or "the Gaussians lie on a CPU"
    import gsplat  # pyright: ignore[reportMissingImports]

    fixed, asked = COMPILED_IN.get(_short(gsplat.__version__)), (limits.max_alpha, limits.min_compensation)
    if fixed != asked:
        raise ValueError(
            f"gsplat {gsplat.__version__}: max_alpha and min_compensation are compiled in as {fixed or 'unknown'}, "
            f"expected {asked}"
        )
    toward = gaussians.means - view.centres()[:, None]  # [c n 3]
    sh = torch.cat([gaussians.sh_dc[:, None], gaussians.sh_rest], dim=1)[:, : (sh_degree + 1) ** 2]
    colour = gsplat.spherical_harmonics(sh_degree, toward, sh.expand(len(view), -1, -1, -1)) + 0.5
    values = torch.cat([colour.clamp(min=0), extra.expand(len(view), -1, -1)], dim=-1)
    planes, alpha, meta = gsplat.rasterization(
        gaussians.means,
        gaussians.quats,
        gaussians.log_scales.exp(),
        gaussians.logit_opacity.sigmoid(),
        values,
        view.camera_from_world,
        view.intrinsics,
        view.width,
        view.height,
        near_plane=limits.near,
        far_plane=limits.far,
        radius_clip=limits.radius_clip,
        eps2d=limits.eps2d,
        render_mode="RGB+D",
        absgrad=absgrad,
        rasterize_mode="antialiased" if limits.antialiased else "classic",
        packed=False,
    )
    return Drawing(
        image=planes[..., :3],
        alpha=alpha[..., 0],
        depth=planes[..., -1],
        extra=planes[..., 3:-1],
        visible=_visible(meta, absgrad),
    )


def _visible(meta: dict, absgrad: bool) -> Visible:
    """Who was seen; a hook on the centres in the image brings their gradients."""
    radii = meta["radii"]
    reach = radii.amax(-1) if radii.dim() == 3 else radii  # one number for each axis since 1.5
    camera, gaussian = (reach > 0).nonzero(as_tuple=True)
    means2d = meta["means2d"]
    grad, absolute = torch.zeros(2, len(camera), 2, device=means2d.device)

    def keep(found: Tensor) -> None:
        grad.copy_(found.detach()[camera, gaussian])
        if absgrad:
            absolute.copy_(means2d.absgrad[camera, gaussian])

    if means2d.requires_grad:
        means2d.register_hook(keep)
    return Visible(
        camera=camera, gaussian=gaussian, radius=reach[camera, gaussian].float(), grad=grad, absolute_grad=absolute
    )
