"""Closed-form slopes agree with autograd of the terms as they are written down."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from clouds import random_gaussians

from simscale.splats.gaussians import Gaussians
from simscale.splats.pictures import Picture
from simscale.splats.settings import LossSettings
from simscale.splats.street_losses import add_box_slopes, add_shape_slopes, depth_loss, exposed, picture_loss
from simscale.splats.view import Drawing, Visible

NONE = LossSettings(l1=0.0, ssim=0.0, depth=0.0, flatness=0.0, out_of_box=0.0, sharpness=0.0, opacity=0.0, scale=0.0)


def leaf_of(count: int = 40) -> Gaussians:
    gaussians = Gaussians(**{n: v.clone().requires_grad_() for n, v in random_gaussians(count).tensors().items()})
    for value in gaussians.tensors().values():
        value.grad = torch.zeros_like(value)
    return gaussians


def flatness(g: Gaussians) -> torch.Tensor:
    return g.log_scales.exp().min(dim=1).values.mean()


def sharpness(g: Gaussians) -> torch.Tensor:
    _, middle, longest = g.log_scales.sort(dim=1).values.exp().unbind(1)
    return (longest / middle - 3.0).clamp(min=0).mean()


def kept_small(g: Gaussians) -> torch.Tensor:
    return torch.sigmoid(g.logit_opacity).mean() + g.log_scales.exp().mean()


@pytest.mark.parametrize(
    ("settings", "term"),
    [
        (replace(NONE, flatness=1.0), flatness),
        (replace(NONE, sharpness=1.0, sharpness_ratio=3.0), sharpness),
        (replace(NONE, opacity=1.0, scale=1.0), kept_small),
    ],
)
def test_slopes_of_shapes_are_autograds(settings, term):
    leaf, seen = leaf_of(), torch.arange(0, 40, 3)
    twin = Gaussians(**{n: v.detach().clone().requires_grad_() for n, v in leaf.tensors().items()})
    counted = torch.arange(len(seen)) % 4 != 1
    slopes = {name: torch.ones_like(value[seen]) for name, value in leaf.tensors().items()}
    with torch.no_grad():
        add_shape_slopes(leaf, seen, slopes, counted, settings, sharp=True, mcmc=True)
    term(twin.at(seen[counted])).backward()
    for name in ("log_scales", "logit_opacity"):
        expected = twin.tensors()[name].grad
        expected = torch.zeros_like(leaf.tensors()[name]) if expected is None else expected
        torch.testing.assert_close(slopes[name] - 1, expected[seen], rtol=1e-4, atol=1e-6)


def test_slopes_of_boxes_are_autograds():
    means = (2 * torch.randn(30, 3, generator=torch.Generator().manual_seed(1))).requires_grad_()
    half, counted = torch.tensor([1.0, 0.5, 2.0]).expand(30, 3), torch.arange(30) % 2 == 0
    means.grad = torch.zeros(30, 3)
    twin = means.detach().clone().requires_grad_()
    with torch.no_grad():
        add_box_slopes(means, half, counted, replace(NONE, out_of_box=1.0, box_tolerance=0.25))
    beyond = (twin.abs() - half - 0.25).clamp(min=0)
    length = beyond[counted & (beyond.sum(1) > 0)].norm(dim=1)
    (length.sum() / counted.sum()).backward()
    torch.testing.assert_close(means.grad, twin.grad, rtol=1e-4, atol=1e-7)


def drawing_of(image: torch.Tensor, depth: float, alpha: float) -> Drawing:
    plane = torch.ones(image.shape[:3])
    none = Visible(
        camera=torch.zeros(0).long(),
        gaussian=torch.zeros(0).long(),
        radius=torch.zeros(0),
        grad=torch.zeros(0, 2),
        absolute_grad=torch.zeros(0, 2),
    )
    extra = torch.zeros(*image.shape[:3], 0)
    return Drawing(image=image, alpha=alpha * plane, depth=alpha * depth * plane, extra=extra, visible=none)


def picture_of(rgb: torch.Tensor, *, valid=None, depth=()) -> Picture:
    pixel = torch.tensor([[3.5, 4.5]] * len(depth)).reshape(-1, 2)
    return Picture(
        rgb=(rgb * 255).round().to(torch.uint8), valid=valid, lens=np.eye(3), pixel=pixel, depth=torch.tensor(depth)
    )


def test_the_depth_term_compares_inverse_depths_and_forgets_the_far():
    drawing = drawing_of(torch.zeros(1, 8, 8, 3), depth=10.0, alpha=0.5)
    picture = picture_of(torch.zeros(8, 8, 3), depth=[20.0, 500.0])
    assert float(depth_loss(drawing, picture, (0.1, 80.0))) == pytest.approx(1 / 10 - 1 / 20, abs=1e-6)


def test_masked_pixels_do_not_count():
    colours = torch.rand(8, 16, 3, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(8, 16, dtype=torch.bool)
    valid[:, 8:] = False
    wrong = colours.clone()
    wrong[:, 8:] = 0.0
    drawing = drawing_of(wrong[None], depth=10.0, alpha=1.0)
    affine = torch.eye(3, 4)
    _, error = picture_loss(drawing, picture_of(colours, valid=valid), affine, LossSettings())
    assert float(error) < 1e-5
    _, error = picture_loss(drawing, picture_of(colours), affine, LossSettings())
    assert float(error) > 0.01


def test_an_exposure_is_an_affine_map():
    affine = torch.tensor([[2.0, 0, 0, 0.1], [0, 0, 1.0, 0], [0, 1.0, 0, 0]])
    seen = exposed(torch.tensor([0.1, 0.2, 0.3]).reshape(1, 1, 1, 3), affine)
    torch.testing.assert_close(seen.reshape(3), torch.tensor([0.3, 0.3, 0.2]))
