"""Muon: torch's own, for all shapes; and who is taught by whom."""

import numpy as np
import pytest
import torch

from simscale.dataset.mixture import Mixture
from simscale.planners import PLANNERS
from simscale.train import TrainConfig
from simscale.train.muon import Muon, orthogonalised
from simscale.train.optimiser import MUON_TIMES, optimisers_of

SHAPES = [(8, 8), (4, 30), (30, 4), (8, 8), (4, 30)]


def matrices(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def test_directions_stay_and_their_lengths_become_alike():
    for before, after in zip(matrices(), orthogonalised(matrices()), strict=True):
        u, long, v = torch.linalg.svd(before, full_matrices=False)
        turned = u.T @ after @ v.T
        assert torch.allclose(turned, torch.diag(turned.diagonal()), atol=1e-4)
        enough = long > 0.05 * long[0]
        assert (turned.diagonal()[enough] > 0.6).all() and (turned.diagonal() < 1.3).all()


def test_it_agrees_with_torch_but_for_its_rounding():
    """torch's rounds to bfloat16: three digits."""
    for given in matrices():
        ours, theirs = torch.nn.Parameter(given.clone()), torch.nn.Parameter(given.clone())
        mine = Muon([ours], lr=0.02, weight_decay=0.1)
        reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1)
        for step in range(4):
            gradient = matrices(step + 1)[SHAPES.index(tuple(given.shape))]
            ours.grad, theirs.grad = gradient.clone(), gradient.clone()
            mine.step()
            reference.step()
        moved = (theirs - given).norm()
        assert moved > 0.1 and (ours - theirs).norm() < 0.03 * moved


def test_a_convolution_is_a_matrix_whatever_its_memory_format():
    weight = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(3))
    gradient = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(4))
    ends = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = torch.nn.Parameter(weight.clone(memory_format=layout))
        p.grad = gradient.clone(memory_format=layout)
        Muon([p], lr=0.1).step()
        ends.append(p.detach())
    flat = torch.nn.Parameter(weight.reshape(6, -1).clone())
    flat.grad = gradient.reshape(6, -1)
    Muon([flat], lr=0.1).step()
    assert torch.allclose(ends[0], ends[1], atol=1e-6) and torch.allclose(ends[0].reshape(6, -1), flat, atol=1e-6)


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_every_parameter_is_taught_by_one(planner):
    kind = PLANNERS[planner]
    model = kind.build(kind.presets["nano"])
    config = TrainConfig(mixture=Mixture(real=()), planner=planner, learning_rate=2e-3)
    both = optimisers_of(model, config, outputs=kind.outputs)
    taught = [id(p) for part in both.parts for group in part.param_groups for p in group["params"]]
    assert sorted(taught) == sorted(id(p) for p in model.parameters())
    adam, muon = (sum(p.numel() for p in part.param_groups[0]["params"]) for part in both.parts)
    assert muon > 5 * adam
    both.set_rate(1e-3)
    assert np.allclose([part.param_groups[0]["lr"] for part in both.parts], [1e-3, MUON_TIMES * 1e-3])
    (alone,) = optimisers_of(model, TrainConfig(mixture=Mixture(real=()), optimiser="adam"), outputs=()).parts
    assert isinstance(alone, torch.optim.AdamW)
