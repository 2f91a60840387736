"""L1 and SSIM in one pass, with their gradient: the loss of a training step, a tenth of what torch takes for it.

SSIM's window is the usual Gaussian of 11 pixels with a deviation of 1.5, over images that continue as black (as
INRIA's code has it). Its gradient needs the derivatives of each window by three of its means, blurred once more with
the same window, so value and gradient cost two separable blurs and are found together.
"""

from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Bool, Float
from numba import get_num_threads, prange
from torch import Tensor

from simscale.splats.kernels import contracted_part, kernel
from simscale.splats.lanes import take_ticket

REACH = 5
"""Pixels on each side of a window's centre."""
WINDOW = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 1.5) ** 2)
WINDOW = tuple((WINDOW / WINDOW.sum()).astype(np.float32))
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)
"""SSIM's constants for colours from 0 to 1."""
BAND = 48
"""Rows that one thread takes at a time; part of what fixes the order of sums."""
ONE, TWO = np.float32(1), np.float32(2)


def photometric(
    image: Float[Tensor, "c h w 3"],
    target: Float[Tensor, "c h w 3"],
    *,
    l1: float = 0.8,
    ssim: float = 0.2,
    mask: Bool[Tensor, "c h w"] | None = None,
) -> Float[Tensor, ""]:
    """Loss `l1 * mean |image - target| + ssim * (1 - SSIM)`, differentiable in the image.

    Args:
        image: Drawn colours, not clamped.
        target: Photographed colours, 0 to 1.
        l1: Weight of the first term; MTGS and INRIA have 0.8.
        ssim: Weight of the second.
        mask: Pixels that count; others are black in both images, and are not counted in the means.
    """
    count = image.numel()
    if mask is not None:
        image, target = image * mask[..., None], target * mask[..., None]
        count = 3 * max(int(mask.sum()), 1)
    if image.device.type != "cpu":
        return photometric_torch(image, target, l1 / count, ssim / count)
    return _Photometric.apply(image, target, l1 / count, ssim / count)


def photometric_torch(image: Tensor, target: Tensor, l1: float, ssim: float) -> Tensor:
    """The sums of |image - target| and of 1 - SSIM, weighted, in plain torch: for CUDA, and what tests compare with."""
    x, y = image.permute(0, 3, 1, 2).flatten(0, 1)[:, None], target.permute(0, 3, 1, 2).flatten(0, 1)[:, None]
    window = torch.tensor(WINDOW, dtype=x.dtype, device=x.device)
    across, down = window.reshape(1, 1, 1, -1), window.reshape(1, 1, -1, 1)
    stack = torch.cat([x, y, x * x, y * y, x * y], dim=0)
    stack = torch.conv2d(torch.conv2d(stack, across, padding=(0, REACH)), down, padding=(REACH, 0))
    a, b, aa, bb, ab = stack.chunk(5)
    light, bright = 2 * a * b + float(C1), a * a + b * b + float(C1)
    pattern, varied = 2 * (ab - a * b) + float(C2), aa - a * a + bb - b * b + float(C2)
    return l1 * (x - y).abs().sum() + ssim * (1 - light * pattern / (bright * varied)).sum()


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, target, l1, ssim):
        x, y = (tensor.detach().permute(0, 3, 1, 2).contiguous().numpy() for tensor in (image, target))
        height, width = x.shape[2:]
        sums, slope = compare(
            x.reshape(-1, height, width),
            y.reshape(-1, height, width),
            np.float32(l1),
            np.float32(ssim),
            get_num_threads(),
        )
        ctx.slope = torch.from_numpy(slope).reshape(x.shape).permute(0, 2, 3, 1)
        return image.new_tensor(l1 * sums[0] + ssim * sums[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, pull):
        return ctx.slope * pull, None, None, None


@contracted_part
@no_type_check
def _blur_across(source, out):
    """Blurs a row that carries REACH zeros on each side."""
    for x in range(out.size):
        total = WINDOW[0] * (source[x] + source[x + 10])
        total += WINDOW[1] * (source[x + 1] + source[x + 9])
        total += WINDOW[2] * (source[x + 2] + source[x + 8])
        total += WINDOW[3] * (source[x + 3] + source[x + 7])
        total += WINDOW[4] * (source[x + 4] + source[x + 6])
        out[x] = total + WINDOW[5] * source[x + 5]


@contracted_part
@no_type_check
def _blur_down(rows, first, out):
    """Blurs eleven rows, from `first` on, into one."""
    for x in range(out.size):
        total = WINDOW[0] * (rows[first, x] + rows[first + 10, x])
        total += WINDOW[1] * (rows[first + 1, x] + rows[first + 9, x])
        total += WINDOW[2] * (rows[first + 2, x] + rows[first + 8, x])
        total += WINDOW[3] * (rows[first + 3, x] + rows[first + 7, x])
        total += WINDOW[4] * (rows[first + 4, x] + rows[first + 6, x])
        out[x] = total + WINDOW[5] * rows[first + 5, x]


@contracted_part
@no_type_check
def _windows(x, y, first, last, by_mean, by_square, by_product):
    """SSIM's derivatives by the windows' means of x, x^2 and x y in some rows; returns the sum of 1 - SSIM."""
    height, width = x.shape
    across = np.zeros((5, last - first + 2 * REACH, width), np.float32)
    padded = np.zeros((5, width + 2 * REACH), np.float32)
    for row in range(max(first - REACH, 0), min(last + REACH, height)):
        for i in range(width):
            a, b = x[row, i], y[row, i]
            padded[0, REACH + i], padded[1, REACH + i] = a, b
            padded[2, REACH + i], padded[3, REACH + i], padded[4, REACH + i] = a * a, b * b, a * b
        for kind in range(5):
            _blur_across(padded[kind], across[kind, row - first + REACH])
    means = np.empty((5, width), np.float32)
    lost = 0.0
    for row in range(first, last):
        for kind in range(5):
            _blur_down(across[kind], row - first, means[kind])
        missing = np.float32(0)
        for i in range(width):
            a, b = means[0, i], means[1, i]
            light = TWO * a * b + C1
            pattern = TWO * (means[4, i] - a * b) + C2
            bright = a * a + b * b + C1
            varied = means[2, i] - a * a + means[3, i] - b * b + C2
            scale = ONE / (bright * varied)
            ssim = light * pattern * scale
            by_square[row, i] = -ssim / varied
            by_product[row, i] = TWO * light * scale
            by_mean[row, i] = TWO * (b * (pattern - light) * scale + a * ssim * (ONE / varied - ONE / bright))
            means[0, i] = ONE - ssim
        for i in range(width):
            missing += means[0, i]
        lost += missing
    return lost


@contracted_part
@no_type_check
def _slopes(x, y, first, last, by_mean, by_square, by_product, l1, ssim, slope):
    """The loss's gradient in rows `first` to `last`; returns the sum of |x - y|."""
    height, width = x.shape
    across = np.zeros((3, last - first + 2 * REACH, width), np.float32)
    padded = np.zeros((3, width + 2 * REACH), np.float32)
    for row in range(max(first - REACH, 0), min(last + REACH, height)):
        padded[0, REACH : REACH + width] = by_mean[row]
        padded[1, REACH : REACH + width] = by_square[row]
        padded[2, REACH : REACH + width] = by_product[row]
        for kind in range(3):
            _blur_across(padded[kind], across[kind, row - first + REACH])
    spread = np.empty((3, width), np.float32)
    lost = 0.0
    for row in range(first, last):
        for kind in range(3):
            _blur_down(across[kind], row - first, spread[kind])
        apart = np.float32(0)
        for i in range(width):
            a, b = x[row, i], y[row, i]
            rise = spread[0, i] + TWO * a * spread[1, i] + b * spread[2, i]
            slope[row, i] = l1 * np.sign(a - b) - ssim * rise
            apart += abs(a - b)
        lost += apart
    return lost


@kernel
@no_type_check
def compare(x, y, l1, ssim, threads):
    """Compares planes [p h w].

    Returns:
        The sums of |x - y| and of 1 - SSIM over all pixels, and the gradient of the two sums by x, weighted with `l1`
        and `ssim`.
    """
    planes, height, _ = x.shape
    bands = (height + BAND - 1) // BAND
    by_mean, by_square, by_product = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    slope = np.empty_like(x)
    lost = np.zeros((2, planes * bands))
    tickets = np.zeros(2, np.int64)
    for _ in prange(threads):
        while True:
            unit = take_ticket(tickets[0:])
            if unit >= planes * bands:
                break
            p, first = unit // bands, unit % bands * BAND
            last = min(first + BAND, height)
            lost[1, unit] = _windows(x[p], y[p], first, last, by_mean[p], by_square[p], by_product[p])
    for _ in prange(threads):
        while True:
            unit = take_ticket(tickets[1:])
            if unit >= planes * bands:
                break
            p, first = unit // bands, unit % bands * BAND
            last = min(first + BAND, height)
            lost[0, unit] = _slopes(
                x[p], y[p], first, last, by_mean[p], by_square[p], by_product[p], l1, ssim, slope[p]
            )
    return lost.sum(axis=1), slope
