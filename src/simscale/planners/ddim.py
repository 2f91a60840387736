"""Noise and its removal: the part of DDIM that a truncated diffusion needs.

A clean sample `x` at step `t` of 1000 is `sqrt(a_t) x + sqrt(1 - a_t) noise`; `a` falls from nearly 1 to nearly 0. A
network guesses the clean sample, and a DDIM step rebuilds what the noisy one would have been a little earlier, with the
same noise (Song et al. 2021, equation 12, eta 0).

Agrees with diffusers' `DDIMScheduler` as DiffusionDrive sets it up: betas `scaled_linear`, prediction type `sample`,
clipped to [-1, 1], alpha 1 before the first step.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

STEPS = 1000
BETAS = (1e-4, 2e-2)
"""First and last; their square roots are equally spaced."""


def alphas_of() -> Float[Tensor, " 1000"]:
    """`a_t`: the share of the signal's variance that is left at each step."""
    betas = torch.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, STEPS, dtype=torch.float32) ** 2
    return torch.cumprod(1.0 - betas, dim=0)


def noised(
    clean: Float[Tensor, "b *x"], noise: Float[Tensor, "b *x"], alpha: Float[Tensor, " b"]
) -> Float[Tensor, "b *x"]:
    """Samples with noise; `alpha` is `a_t` of each."""
    alpha = alpha.reshape(-1, *(1,) * (clean.ndim - 1))
    return alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise


def ddim_step(
    noisy: Float[Tensor, "*x"], clean: Float[Tensor, "*x"], alpha: Float[Tensor, ""], earlier: Float[Tensor, ""]
) -> Float[Tensor, "*x"]:
    """What `noisy` was at an earlier step, if `clean` is what it came from.

    Args:
        noisy: At a step with `alpha`.
        clean: The network's guess; it counts as clipped, but the noise is what the unclipped guess leaves.
        alpha: `a_t` now.
        earlier: `a_t` then.
    """
    noise = (noisy - alpha**0.5 * clean) / (1 - alpha) ** 0.5
    return earlier**0.5 * clean.clamp(-1.0, 1.0) + (1 - earlier) ** 0.5 * noise


def sinusoid(step: Int[Tensor, " b"], width: int) -> Float[Tensor, "b w"]:
    """Embedding of a step: sines, then cosines, of falling frequency (`SinusoidalPosEmb`)."""
    half = width // 2
    rate = torch.exp(torch.arange(half, device=step.device) * -(math.log(10000.0) / (half - 1)))
    phase = step[:, None] * rate
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def point_embedding(xy: Float[Tensor, "*b 2"], width: int) -> Float[Tensor, "*b w"]:
    """Embedding of points: half of it for y, half for x, sine and cosine in turns (`gen_sineembed_for_position`)."""
    half = width // 2
    place = torch.arange(half, device=xy.device)
    period = 10000.0 ** (2 * torch.div(place, 2, rounding_mode="floor") / half)
    phase = 2 * torch.pi * xy.flip(-1)[..., None] / period  # [*b 2 half], y first
    waves = torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()], dim=-1)
    return waves.flatten(-3)
