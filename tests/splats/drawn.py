"""Gaussians and cameras that draw well, for tests of drawing."""

import math

import torch
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.render import render
from simscale.splats.view import Drawing, Limits, View


def crowd(n: int = 400, *, seed: int = 0, degree: int = 3) -> Gaussians:
    """Gaussians of all shapes in front of the cameras of `cameras`, and some behind them, all asking for gradients."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    values = {
        "means": normal(n, 3) * torch.tensor([3.0, 2.0, 3.0]) + torch.tensor([0.0, 0.0, 7.0]),
        "log_scales": normal(n, 3) * 0.7 - 1.8,
        "quats": normal(n, 4),
        "logit_opacity": normal(n) * 3,
        "sh_dc": normal(n, 3),
        "sh_rest": normal(n, (degree + 1) ** 2 - 1, 3) * 0.2,
    }
    return Gaussians(**{name: value.requires_grad_() for name, value in values.items()})


def cameras(*, width: int = 96, height: int = 54) -> View:
    """Two cameras that look at the crowd from different places; their poses ask for gradients."""
    poses = torch.eye(4).repeat(2, 1, 1)
    c, s = math.cos(0.3), math.sin(0.3)
    poses[1, :3] = torch.tensor([[c, 0, s, 0.5], [0, 1, 0, 0.2], [-s, 0, c, 0.3]])
    lens = torch.tensor([[0.8 * width, 0, width / 2 + 1], [0, 0.9 * width, height / 2], [0, 0, 1]])
    return View(camera_from_world=poses.requires_grad_(), intrinsics=lens.expand(2, 3, 3), width=width, height=height)


def drawn_and_pulled(gaussians: Gaussians, view: View, backend: str, **options) -> tuple[Drawing, dict[str, Tensor]]:
    """A drawing, and all gradients of a random weighting of everything that it shows."""
    limits = options.pop("limits", Limits())
    tensors = {**gaussians.tensors(), "poses": view.camera_from_world}
    if "extra" in options:
        tensors["extra"] = options["extra"]
    drawing = render(gaussians, view, limits=limits, backend=backend, absgrad=True, **options)
    random = torch.Generator().manual_seed(5)
    loss = 0
    for part, share in ((drawing.image, 1.0), (drawing.alpha, 1.0), (drawing.depth, 0.1), (drawing.extra, 1.0)):
        loss = loss + share * (part.double() * torch.randn(part.shape, generator=random, dtype=torch.float64)).sum()
    found = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    seen = drawing.visible
    order = torch.argsort(seen.camera * (len(gaussians) + 1) + seen.gaussian)
    grads = dict(zip(tensors, found, strict=True)) | {
        "centres": seen.grad[order],
        "absolute": seen.absolute_grad[order],
    }
    return drawing, grads


def apart(a: Tensor, b: Tensor) -> float:
    """Relative L2 distance."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp(min=1e-30))
