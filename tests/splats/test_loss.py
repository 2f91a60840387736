"""The fused loss against plain torch."""

import torch

from simscale.splats.loss import photometric, photometric_torch


def pictures(height=61, width=70, cameras=2):
    random = torch.Generator().manual_seed(0)
    target = torch.rand(cameras, height, width, 3, generator=random)
    image = (target + 0.2 * torch.randn(target.shape, generator=random)).requires_grad_()
    return image, target


def test_value_and_gradient_are_those_of_plain_torch():
    image, target = pictures()
    loss = photometric(image, target, l1=0.7, ssim=0.3)
    (grad,) = torch.autograd.grad(3 * loss, image)

    exact = image.detach().double().requires_grad_()
    true = photometric_torch(exact, target.double(), 0.7 / image.numel(), 0.3 / image.numel())
    (true_grad,) = torch.autograd.grad(3 * true, exact)
    assert abs(float(loss.detach()) - float(true.detach())) < 1e-6
    assert (grad - true_grad).norm() / true_grad.norm() < 1e-5


def test_equal_images_cost_nothing_and_the_weights_weigh():
    image, target = pictures()
    assert abs(float(photometric(target, target))) < 1e-6
    torch.testing.assert_close(photometric(image, target, l1=1.0, ssim=0.0), (image - target).abs().mean())


def test_masked_pixels_do_not_count():
    image, target = pictures()
    mask = torch.ones(2, 61, 70, dtype=torch.bool)
    mask[:, 40:] = False
    spoilt = torch.where(mask[..., None], image, torch.rand_like(image)).detach().requires_grad_()
    losses = [photometric(picture, target, mask=mask) for picture in (image, spoilt)]
    assert torch.equal(*losses)
    (grad,) = torch.autograd.grad(losses[1], spoilt)
    assert not grad[:, 40:].any()
    assert grad[:, :40].any()
