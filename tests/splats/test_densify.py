"""Densification: caps hold, the dead are moved, copies together look as one did, and equal seeds give equal clouds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from clouds import random_gaussians

from simscale.splats.cloud import Cloud
from simscale.splats.densify import axes_of, densified, grown, lowered, relocated, walk
from simscale.splats.gaussians import Gaussians
from simscale.splats.settings import DensifySettings

MCMC = DensifySettings(strategy="mcmc")
DEFAULT = DensifySettings(strategy="default")


def cloud_of(count: int = 200, **changes) -> Cloud:
    parts = random_gaussians(count, degree=1).tensors()
    cloud = Cloud.of(Gaussians(**parts | changes), torch.arange(count) % 3)
    for kind in (cloud.momenta.first, cloud.momenta.second):
        for value in kind.values():
            value.fill_(1.0)
    return cloud


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("settings", [MCMC, DEFAULT])
def test_there_are_never_more_than_the_cap(settings):
    cloud = replace(cloud_of(), pull=torch.ones(200), looks=torch.ones(200))
    for step in range(5):
        cloud = densified(cloud, cap=230, settings=settings, random=dice(step), distance=torch.zeros(len(cloud)))
        cloud = replace(cloud, pull=torch.ones(len(cloud)), looks=torch.ones(len(cloud)))
        assert len(cloud) <= 230
        assert len(cloud.owner) == len(cloud.momenta.first["means"]) == len(cloud)


@pytest.mark.parametrize("settings", [MCMC, DEFAULT])
def test_equal_seeds_give_equal_clouds(settings):
    def made(seed: int) -> Cloud:
        cloud = replace(cloud_of(), pull=torch.linspace(0, 0.1, 200), looks=torch.ones(200))
        return densified(cloud, cap=230, settings=settings, random=dice(seed), distance=torch.zeros(200))

    assert torch.equal(made(1).gaussians.means, made(1).gaussians.means)
    assert not torch.equal(made(1).gaussians.log_scales, made(2).gaussians.log_scales) or settings is DEFAULT


def test_the_dead_become_copies_of_the_living():
    logit = torch.full((200,), 1.0)
    logit[:50] = -9.0
    before = cloud_of(logit_opacity=logit.clone())
    living = {tuple(row) for row in before.gaussians.means[50:].tolist()}
    after = relocated(before, settings=MCMC, random=dice())
    assert len(after) == 200
    assert {tuple(row) for row in after.gaussians.means.tolist()} <= living
    assert not after.momenta.first["means"][:50].any()


def test_copies_together_stop_as_much_light_as_one_did():
    cloud = cloud_of(logit_opacity=torch.linspace(-2, 3, 200))
    before = torch.sigmoid(cloud.gaussians.logit_opacity).clone()
    where = cloud.gaussians.means.clone()
    after = grown(cloud, cap=10_000, settings=replace(MCMC, growth=0.5), random=dice())
    passed = torch.ones(200)
    for row, place in enumerate(after.gaussians.means):
        passed[(where == place).all(dim=1)] *= 1 - torch.sigmoid(after.gaussians.logit_opacity[row])
    torch.testing.assert_close(1 - passed, before, rtol=1e-4, atol=1e-5)


def test_copies_of_the_opaque_are_smaller():
    cloud = cloud_of(8, logit_opacity=torch.full((8,), 4.0))
    before = cloud.gaussians.log_scales.clone()
    after = grown(cloud, cap=100, settings=replace(MCMC, growth=1.0), random=dice())
    copied = (after.gaussians.logit_opacity[:8] < 3.9).nonzero()[:, 0]
    assert len(copied)
    assert (after.gaussians.log_scales[copied] < before[copied]).all()


def test_large_ones_are_split_and_small_ones_cloned():
    scales = torch.full((200, 3), -4.0)
    scales[:100] = -1.0  # 0.37 m
    cloud = cloud_of(log_scales=scales, logit_opacity=torch.full((200,), 2.0))
    cloud = replace(cloud, pull=torch.ones(200), looks=torch.ones(200))
    after = densified(cloud, cap=1000, settings=DEFAULT, random=dice(), distance=torch.zeros(200))
    assert len(after) == 100 + 2 * 100 + 100  # small ones, halves of the large ones, clones
    assert after.gaussians.log_scales.max() < -1.0
    assert not after.pull.any()


def test_what_is_transparent_or_huge_goes_but_far_away_less_so():
    scales = torch.full((200, 3), -4.0)
    scales[:50] = 0.5  # 1.6 m
    logit = torch.full((200,), 2.0)
    logit[150:] = -9.0
    cloud = cloud_of(log_scales=scales, logit_opacity=logit)
    near = densified(cloud, cap=200, settings=DEFAULT, random=dice(), distance=torch.zeros(200))
    far = densified(cloud, cap=200, settings=DEFAULT, random=dice(), distance=torch.full((200,), 150.0))
    assert (len(near), len(far)) == (100, 150)


def test_only_the_transparent_walk():
    logit = torch.full((200,), 2.0)
    logit[:20] = -7.0
    cloud = cloud_of(logit_opacity=logit)
    before = cloud.gaussians.means.clone()
    walk(cloud, size=10.0, random=dice())
    moved = (cloud.gaussians.means != before).any(dim=1)
    assert moved[:20].all()
    assert not moved[20:].any()


def test_axes_are_a_root_of_the_covariance():
    gaussians = random_gaussians(10)
    root = axes_of(gaussians)
    _, values, _ = torch.linalg.svd(root)
    torch.testing.assert_close(
        values.sort(dim=1).values, gaussians.log_scales.exp().sort(dim=1).values, rtol=1e-4, atol=1e-5
    )


def test_lowered_opacities_stay_low_and_forget():
    cloud = cloud_of(logit_opacity=torch.linspace(-8, 8, 200))
    lowered(cloud, to=0.01)
    assert torch.sigmoid(cloud.gaussians.logit_opacity).max() <= 0.0101
    assert not cloud.momenta.first["logit_opacity"].any()
    assert cloud.momenta.first["means"].all()
