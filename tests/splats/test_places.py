"""Morton's curve."""

import torch
from drawn import crowd

from simscale.splats.places import by_place, place_order


def test_the_order_is_a_permutation_that_brings_neighbours_together():
    means = torch.rand(4096, 3, generator=torch.Generator().manual_seed(0)) * 100
    order = place_order(means)
    assert torch.equal(order.sort().values, torch.arange(4096))
    step = means[order].diff(dim=0).norm(dim=1)
    assert step.median() < 0.2 * means.diff(dim=0).norm(dim=1).median()


def test_few_far_away_do_not_make_the_cells_coarse():
    means = torch.rand(4096, 3, generator=torch.Generator().manual_seed(0))
    means[:10] *= 1e6
    near = place_order(means)
    near = near[near >= 10]
    assert means[near].diff(dim=0).norm(dim=1).median() < 0.15


def test_all_parameters_go_along_and_nothing_is_an_order_too():
    gaussians = crowd(100)
    placed = by_place(gaussians)
    match = (placed.means[:, None] == gaussians.means[None]).all(-1).float().argmax(dim=1)
    assert torch.equal(placed.quats, gaussians.quats[match])
    assert len(by_place(crowd(0))) == 0
