"""One function from Gaussians to images, on a CPU or on CUDA."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.memory import Memory
from simscale.splats.view import Drawing, Limits, View

BACKENDS = ("auto", "numba", "gsplat", "torch64")


def render(
    gaussians: Gaussians,
    view: View,
    *,
    extra: Float[Tensor, "n e"] | None = None,
    sh_degree: int | None = None,
    background: Float[Tensor, "3"] | None = None,
    absgrad: bool = False,
    sparse_grad: bool = False,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    memory: Memory | None = None,
    backend: str = "auto",
) -> Drawing:
    """Draws Gaussians; differentiable in all their parameters, the extra channels, the background and the poses.

    Args:
        gaussians: Raw parameters. Faster by far when neighbours in space are neighbours in memory (`by_place`).
        view: Cameras.
        extra: More channels to blend, such as normals.
        sh_degree: Degree of the harmonics to use, 0 to 3; None for all there are.
        background: Colour behind everything; None is black.
        absgrad: Whether the backward pass finds `Drawing.visible.absolute_grad`, which densification may want.
        sparse_grad: Whether `numba` gives the parameters sparse gradients, with a row for each of `Drawing.visible`,
            which takes less time and memory; `Visible.slopes` reads them. Other backends have dense ones.
        limits: Thresholds.
        memory: Kept by who draws often with `numba`; saves a third of the time of large clouds.
        backend: `numba` on a CPU; `gsplat` on CUDA; `torch64`, dense and slow, for tests; `auto` is gsplat for
            Gaussians that lie on a CUDA device and Numba for others.

    Returns:
        Images and who was seen. The same arguments give the same bytes with `numba`, gradients too.
    """
    assert backend in BACKENDS, backend
    degree = gaussians.sh_degree if sh_degree is None else sh_degree
    assert 0 <= degree <= gaussians.sh_degree, (degree, gaussians.sh_degree)
    if backend == "auto":
        backend = "gsplat" if gaussians.means.is_cuda else "numba"
    if extra is None:
        extra = gaussians.means.new_zeros(len(gaussians), 0)
    if backend == "numba":
        from simscale.splats.rasterise import draw_numba

        options = {"sh_degree": degree, "absgrad": absgrad, "sparse_grad": sparse_grad}
        drawing = draw_numba(gaussians, view, limits, extra, memory=memory, **options)
    elif backend == "gsplat":
        from simscale.splats.gsplat_backend import draw_gsplat

        drawing = draw_gsplat(gaussians, view, limits, extra, sh_degree=degree, absgrad=absgrad)
    else:
        from simscale.splats.oracle import draw64

        drawing = draw64(gaussians, view, limits, extra, sh_degree=degree)
    return drawing if background is None else _over(drawing, background)


def limits_on(device: torch.device, limits: Limits) -> Limits:
    """The limits nearest to some that `auto` can draw with on a device: gsplat has two of them compiled in."""
    if device.type != "cuda":
        return limits
    from simscale.splats.gsplat_backend import compiled

    return compiled(limits)


def _over(drawing: Drawing, background: Tensor) -> Drawing:
    image = drawing.image + (1 - drawing.alpha[..., None]) * background
    return replace(drawing, image=image)
