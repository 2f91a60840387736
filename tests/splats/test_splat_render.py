"""Drawing on a CPU against dense float64 torch, and what must hold of any drawing."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numba
import pytest
import torch
from drawn import apart, cameras, crowd, drawn_and_pulled

from simscale.splats.gaussians import Gaussians
from simscale.splats.memory import Memory
from simscale.splats.render import render
from simscale.splats.view import Limits, View

IMAGE, GRADIENT = 2e-5, 1e-4
"""Largest error of a colour or of alpha, and of a gradient (relative L2), against float64."""


@pytest.mark.parametrize(
    ("limits", "degree"),
    [
        (Limits(), 3),
        (Limits(antialiased=False), 2),
        (Limits(max_alpha=0.99, min_compensation=0.005, eps2d=0.1), 1),
        (Limits(near=6.0, far=9.0, radius_clip=3.0), 0),
    ],
)
def test_images_and_all_gradients_are_those_of_float64(limits, degree):
    gaussians, view = crowd(degree=degree), cameras(width=90)  # with tiles cut off
    extra = torch.randn(len(gaussians), 3, generator=torch.Generator().manual_seed(1)).requires_grad_()

    drawing, grads = drawn_and_pulled(gaussians, view, "numba", limits=limits, extra=extra)
    true, true_grads = drawn_and_pulled(gaussians, view, "torch64", limits=limits, extra=extra)

    assert (drawing.image - true.image).abs().max() < IMAGE
    assert (drawing.alpha - true.alpha).abs().max() < IMAGE
    assert (drawing.extra - true.extra).abs().max() < IMAGE
    assert (drawing.depth - true.depth).abs().max() < IMAGE * 20  # metres, up to 20 of them
    for name, grad in true_grads.items():
        if grad is not None and grad.numel():
            assert apart(grads[name], grad) < GRADIENT, name
    assert true.alpha.max() > 0.9
    assert true.alpha.min() < 0.5


@pytest.mark.slow
def test_a_processor_without_avx512_agrees_as_well():
    test = f"{Path(__file__).name}::test_images_and_all_gradients_are_those_of_float64"
    env = {**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", here / test], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "...." in done.stdout, "all four ran"


def test_long_needles_far_from_the_origin_are_those_of_float64():
    gaussians, view = crowd(), cameras()
    with torch.no_grad():
        gaussians.log_scales[:, 0] += 3
        gaussians.means[:] += torch.tensor([512.0, -256.0, 64.0])
        view.camera_from_world[:, :3, 3] -= view.camera_from_world[:, :3, :3] @ torch.tensor([512.0, -256.0, 64.0])

    drawing, grads = drawn_and_pulled(gaussians, view, "numba")
    true, true_grads = drawn_and_pulled(gaussians, view, "torch64")

    assert (drawing.image - true.image).abs().quantile(0.999) < 10 * IMAGE
    assert apart(grads["means"], true_grads["means"]) < 10 * GRADIENT


def test_results_are_the_same_bits_however_many_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("Numba was started with one thread (NUMBA_NUM_THREADS)")
    gaussians, view = crowd(6000), cameras(width=200, height=120)
    results = []
    for threads in (1, 2, 2):
        numba.set_num_threads(threads)
        drawing, grads = drawn_and_pulled(gaussians, view, "numba")
        results.append([drawing.image.detach(), drawing.depth.detach(), *(g for g in grads.values() if g is not None)])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_two_cameras_are_each_alone_and_their_gradients_add():
    gaussians, view = crowd(), cameras()
    both = render(gaussians, view)
    both.image.square().sum().backward()
    together = {name: value.grad for name, value in gaussians.tensors().items()}
    gaussians = crowd()
    for camera in range(2):
        one = render(gaussians, view.at(camera))
        assert torch.equal(one.image[0], both.image[camera])
        one.image.square().sum().backward()
    for name, value in gaussians.tensors().items():
        assert apart(value.grad, together[name]) < 1e-6, name


def test_one_round_gaussian_is_a_bell_on_the_image():
    size, distance, focal, opacity = 0.1, 4.0, 100.0, 0.8
    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, distance]]),
        log_scales=torch.full((1, 3), math.log(size)),
        quats=torch.tensor([[2.0, 0.0, 0.0, 0.0]]),
        logit_opacity=torch.tensor([math.log(opacity / (1 - opacity))]),
        sh_dc=torch.zeros(1, 3),
        sh_rest=torch.zeros(1, 0, 3),
    )
    lens = torch.tensor([[[focal, 0, 20.5], [0, focal, 15.5], [0, 0, 1]]])
    view = View(camera_from_world=torch.eye(4)[None], intrinsics=lens, width=41, height=31)
    drawing = render(gaussians, view, limits=Limits(antialiased=False), background=torch.tensor([0.0, 0.0, 1.0]))

    variance = (focal * size / distance) ** 2 + 0.3
    away = torch.arange(41) - 20.0
    bell = opacity * torch.exp(-away.square() / (2 * variance))
    bell[bell < 1 / 255] = 0
    torch.testing.assert_close(drawing.alpha[0, 15], bell, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawing.alpha[0, 15], drawing.alpha[0, 15].flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(drawing.image[0, 15, :, 0], bell / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawing.image[0, 15, :, 2], bell / 2 + 1 - bell, atol=2e-5, rtol=0)
    torch.testing.assert_close(drawing.expected_depth[0, 15, 20], torch.tensor(distance))
    assert drawing.visible.gaussian.tolist() == [0]


def test_the_order_of_gaussians_does_not_matter():
    gaussians, view = crowd(), cameras()
    order = torch.randperm(len(gaussians), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(render(gaussians, view).image, render(gaussians.at(order), view).image)


def test_nothing_to_see_is_black_and_has_no_gradient():
    for gaussians in (crowd(0), crowd(20)):
        with torch.no_grad():
            gaussians.means[:, 2] -= 100
        drawing, grads = drawn_and_pulled(gaussians, cameras(), "numba")
        assert not drawing.image.any()
        assert not drawing.alpha.any()
        assert len(drawing.visible.gaussian) == 0
        assert not any(grad.any() for grad in grads.values() if grad is not None)


def test_numbers_that_are_none_are_not_drawn():
    gaussians, view = crowd(64), cameras()
    with torch.no_grad():
        clean = render(gaussians.at(torch.arange(64) >= 12), view)
        for i, name in enumerate(("means", "log_scales", "quats", "logit_opacity")):
            value = getattr(gaussians, name)
            value[3 * i], value[3 * i + 1] = math.nan, math.inf
            value[3 * i + 2] = -math.inf
        gaussians.quats[6:9] = 0
        drawing = render(gaussians, view)
    shown = set(drawing.visible.gaussian.tolist())
    assert torch.isfinite(drawing.image).all()
    assert {6, 7, 8}.isdisjoint(shown)
    assert {0, 1, 2}.isdisjoint(shown)
    assert (drawing.image - clean.image).abs().quantile(0.1) < 0.5


def test_a_lower_degree_ignores_the_higher_coefficients():
    gaussians, view = crowd(), cameras()
    cut = replace(gaussians, sh_rest=gaussians.sh_rest[:, :3].detach())
    low, grads = drawn_and_pulled(gaussians, view, "numba", sh_degree=1)
    assert torch.equal(low.image, render(cut, view).image)
    assert not grads["sh_rest"][:, 3:].any()


def test_many_extra_channels_are_drawn_as_four_at_a_time():
    gaussians, view = crowd(), cameras()
    extra = torch.randn(len(gaussians), 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    drawing, grads = drawn_and_pulled(gaussians, view, "numba", extra=extra)
    true, true_grads = drawn_and_pulled(gaussians, view, "torch64", extra=extra)
    assert (drawing.extra - true.extra).abs().max() < IMAGE
    assert apart(grads["extra"], true_grads["extra"]) < GRADIENT
    assert apart(grads["means"], true_grads["means"]) < GRADIENT


def test_memory_is_used_again_only_when_nobody_needs_it():
    gaussians, view, memory = crowd(), cameras(), Memory()
    kept = [render(gaussians, view.at(camera), memory=memory) for camera in (0, 1, 0)]
    for drawing in reversed(kept):
        (drawing.image.sum() + drawing.depth.sum()).backward()
    fresh = crowd()
    for camera in (0, 1, 0):
        drawing = render(fresh, view.at(camera))
        assert torch.equal(kept[camera].image, drawing.image)
        (drawing.image.sum() + drawing.depth.sum()).backward()
    for name, value in gaussians.tensors().items():
        assert apart(value.grad, getattr(fresh, name).grad) < 1e-6, name

    del kept
    for value in gaussians.tensors().values():
        value.grad = None
    render(gaussians, view.at(1), memory=memory).image.sum().backward()
    again = crowd()
    render(again, view.at(1)).image.sum().backward()
    for name, value in gaussians.tensors().items():
        assert torch.equal(value.grad, getattr(again, name).grad), name


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sparse_gradients_are_the_rows_of_dense_ones(degree):
    n = 5000  # more than one chunk
    view = cameras()
    for eye in (view.at(1), view):
        grads = []
        for sparse in (True, False):
            gaussians = crowd(n, degree=degree)
            drawing = render(gaussians, eye, sparse_grad=sparse)
            (drawing.image.square().sum() + drawing.depth.sum()).backward()
            grads.append({name: value.grad for name, value in gaussians.tensors().items()})
            if sparse and len(eye) == 1:
                seen, slopes = drawing.visible.gaussian, drawing.visible.slopes(gaussians)
        for name, dense in grads[1].items():
            assert grads[0][name].is_sparse
            torch.testing.assert_close(grads[0][name].to_dense(), dense, rtol=1e-6, atol=1e-6)
            if len(eye) == 1:
                assert torch.equal(slopes[name], dense[seen])
    assert len(seen) < n


def test_sparse_gradients_stay_while_somebody_has_them():
    gaussians, view, memory = crowd(), cameras(), Memory()
    kept = []
    for camera in (0, 1, 0):
        drawing = render(gaussians, view.at(camera), sparse_grad=True, memory=memory)
        drawing.image.sum().backward()
        kept.append(drawing.visible.slopes(gaussians))
        for value in gaussians.tensors().values():
            value.grad = None
    for name, slope in kept[0].items():
        assert torch.equal(slope, kept[2][name]), name
