"""Sparse Adam against torch's."""

import numpy as np
import torch
from drawn import crowd

from simscale.splats.adam import Momenta, sparse_adam, step_numba, step_torch

RATES = {"means": 1e-2, "log_scales": 2e-2, "quats": 1e-3, "logit_opacity": 5e-2, "sh_dc": 3e-3, "sh_rest": 1e-4}


def test_gaussians_that_are_always_seen_move_as_with_torch():
    ours, theirs = crowd(50), crowd(50)
    momenta = Momenta.of(ours)
    groups = [{"params": [value], "lr": RATES[name]} for name, value in theirs.tensors().items()]
    adam = torch.optim.Adam(groups, eps=1e-15)
    for step in range(1, 6):
        slopes = {}
        for name, value in theirs.tensors().items():
            slopes[name] = torch.randn(value.shape, generator=torch.Generator().manual_seed(step)) * 1e-3
            value.grad = slopes[name].clone()
        sparse_adam(ours, momenta, torch.arange(50), slopes, rates=RATES, step=step)
        adam.step()
    for name, value in ours.tensors().items():
        torch.testing.assert_close(value, getattr(theirs, name), rtol=1e-5, atol=1e-6)


def test_who_was_not_seen_stays_and_keeps_its_momentum():
    gaussians, before = crowd(50), crowd(50)
    momenta = Momenta.of(gaussians)
    seen = torch.rand(50, generator=torch.Generator().manual_seed(0)) < 0.5
    rows = seen.nonzero()[:, 0]
    slopes = {name: torch.ones_like(value[rows]) for name, value in gaussians.tensors().items()}
    sparse_adam(gaussians, momenta, rows, slopes, rates={"means": 0.1}, step=1)
    assert torch.equal(gaussians.means[~seen], before.means[~seen])
    torch.testing.assert_close(gaussians.means[seen], before.means[seen] - 0.1)
    assert torch.equal(gaussians.quats, before.quats)
    assert not momenta.first["means"][~seen].any()
    torch.testing.assert_close(momenta.at(seen).first["means"], torch.full((int(seen.sum()), 3), 0.1))


def test_torch_moves_gaussians_as_the_kernel_does():
    random = torch.Generator().manual_seed(3)
    value, first = torch.randn(2, 500, 8, 3, generator=random)
    second = torch.rand(500, 8, 3, generator=random)
    ours, theirs = [value, first, second], [value.clone(), first.clone(), second.clone()]
    numbers = tuple(np.float32(number) for number in (1e-2, 0.9, 0.999, 1e-15))
    for _ in range(5):
        seen = torch.rand(500, generator=random) < 0.5
        rows = seen.nonzero()[:, 0]
        slope = torch.randn(len(rows), *value.shape[1:], generator=random)
        before = theirs[0].clone()
        step_numba((ours[0], slope, *ours[1:]), rows, numbers)
        step_torch((theirs[0], slope, *theirs[1:]), rows, numbers)
        assert torch.equal(theirs[0][~seen], before[~seen])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
