"""Against gsplat: its projection and harmonics in torch on a CPU, all of it on CUDA."""

import importlib.util

import numpy as np
import pytest
import torch
from drawn import apart, cameras, crowd, drawn_and_pulled

from simscale.splats import records as rec
from simscale.splats.gaussians import Gaussians
from simscale.splats.gsplat_backend import missing_gsplat
from simscale.splats.memory import Memory
from simscale.splats.rasterise import draw_one, eye_of, raw_of
from simscale.splats.render import render
from simscale.splats.view import Limits


@pytest.mark.skipif(importlib.util.find_spec("gsplat") is None, reason="gsplat is not installed (pip install gsplat)")
def test_projection_and_colours_are_gsplats_own():
    from gsplat.cuda import _torch_impl as theirs

    gaussians, view = crowd(2000), cameras()
    with torch.no_grad():
        drawn = draw_one(
            raw_of(gaussians.tensors().values()),
            eye_of(view, 1, Limits(), 3),
            np.zeros((2000, 0), "f4"),
            0.999,
            Memory(),
        )
        seen = torch.from_numpy(drawn.seen.gaussian[drawn.used].astype(np.int64))
        records = torch.from_numpy(drawn.seen.records[drawn.used])
        shapes = theirs._quat_scale_to_covar_preci(
            gaussians.quats / gaussians.quats.norm(dim=-1, keepdim=True), gaussians.log_scales.exp(), True, False, False
        )
        pose, lens = view.camera_from_world[1:], view.intrinsics[1:]
        _, means, depths, conics, compensations = theirs._fully_fused_projection(
            gaussians.means, shapes[0], pose, lens, view.width, view.height, calc_compensations=True
        )
        toward = gaussians.means - view.centres()[1]
        sh = torch.cat([gaussians.sh_dc[:, None], gaussians.sh_rest], dim=1)
        colours = (theirs._spherical_harmonics(3, toward / toward.norm(dim=-1, keepdim=True), sh) + 0.5).clamp(min=0)

    assert len(seen) > 1000
    root, slope, flat = records[:, rec.ROOT], records[:, rec.SLOPE], records[:, rec.FLAT]
    ours = torch.stack([2 * root**2, -2 * root**2 * slope, 2 * (root * slope) ** 2 + 2 * flat], dim=-1)
    opacity = gaussians.logit_opacity[seen].sigmoid() * compensations[0, seen]
    assert (records[:, :2] - means[0, seen]).abs().max() < 1e-3
    assert apart(ours, conics[0, seen]) < 1e-4
    assert (records[:, rec.DEPTH] - depths[0, seen]).abs().max() < 1e-5
    assert (records[:, rec.OPACITY] - opacity).abs().quantile(0.99) < 1e-4
    assert (records[:, rec.RED : rec.BLUE + 1] - colours[seen]).abs().max() < 1e-5


@pytest.mark.gpu
@pytest.mark.parametrize("antialiased", [True, False])
def test_cuda_draws_the_same(antialiased):
    reason = missing_gsplat()
    if reason:
        pytest.skip(reason)
    gaussians, view, limits = crowd(), cameras(), Limits(antialiased=antialiased)
    drawing, grads = drawn_and_pulled(gaussians, view, "numba", limits=limits)
    there = Gaussians(**{name: value.detach().cuda().requires_grad_() for name, value in gaussians.tensors().items()})
    pose = view.camera_from_world.detach().cuda().requires_grad_()
    far = type(view)(camera_from_world=pose, intrinsics=view.intrinsics.cuda(), width=view.width, height=view.height)
    other = render(there, far, limits=limits, backend="gsplat", absgrad=True)
    random, loss = torch.Generator().manual_seed(5), 0
    for part, share in ((other.image, 1.0), (other.alpha, 1.0), (other.depth, 0.1)):
        loss = (
            loss + share * (part.double().cpu() * torch.randn(part.shape, generator=random, dtype=torch.float64)).sum()
        )
    loss.backward()
    assert (other.image.cpu() - drawing.image).abs().mean() < 1e-4
    assert (other.image.cpu() - drawing.image).abs().max() < 5e-3
    for name, value in there.tensors().items():
        assert apart(value.grad.cpu(), grads[name]) < 1e-3, name
    assert apart(pose.grad.cpu(), grads["poses"]) < 1e-3
