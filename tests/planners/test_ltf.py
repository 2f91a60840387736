import dataclasses
import math

import numpy as np
import pytest
import torch

from simscale.planners.ltf import NANO, PUBLISHED_NAVSIM, PUBLISHED_SIMSCALE, PUBLISHED_TRANSFUSER, Ltf, build

PUBLISHED = {
    "ltf_navsim_256": PUBLISHED_NAVSIM,
    "ltf_simscale": PUBLISHED_SIMSCALE,
    "transfuser_navsim_lidar": PUBLISHED_TRANSFUSER,
}


def inputs(count: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 64, 256, generator=draw), torch.randn(count, 8, generator=draw)


@pytest.fixture(scope="module")
def nano() -> Ltf:
    return build(NANO, seed=1).eval()


@pytest.mark.shared
@pytest.mark.parametrize("case", PUBLISHED)
def test_published_presets_have_the_references_weights_by_name_order_and_shape(golden, case):
    manifest = golden.read(f"{case}.manifest.json")
    with torch.device("meta"):
        model = Ltf(PUBLISHED[case])
    ours = [(name, list(weight.shape)) for name, weight in model.state_dict().items()]
    assert ours == [(row["key"], row["shape"]) for row in manifest["state_dict"]]
    assert len(ours) == (669 if PUBLISHED[case].trunk.latent else 668)
    assert sum(weight.numel() for weight in model.parameters()) == manifest["n_params"]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("case", PUBLISHED)
def test_published_presets_say_what_the_reference_says_under_the_same_weights(golden, case):
    config, expected = PUBLISHED[case], golden.numbers(case)
    model = build(config)
    model.load_state_dict(golden.weights(case), strict=True)
    model.eval()
    name = golden.prefix + case
    rgb = torch.from_numpy(golden.recipe.camera(name, 2, *config.trunk.image_size))
    status = torch.from_numpy(golden.recipe.status(name, 2))
    lidar = None if config.trunk.latent else torch.from_numpy(golden.recipe.lidar(name, 2))
    np.testing.assert_array_equal(status, expected["status_feature"])
    trunk = []
    model._backbone.register_forward_hook(lambda module, args, result: trunk.extend(result))
    with torch.inference_mode():
        output = model(rgb, status, lidar)
        answers = model.answers(trunk[1], status)
    found = {
        "backbone_bev_upscale": trunk[0][:, ::4, ::8, ::8],
        "backbone_fused": trunk[1][:, ::8],
        "tf_decoder": answers[:, :6, ::2],
        "trajectory": output.trajectory,
        "agent_states": output.agent_states,
        "agent_labels": output.agent_labels,
        "bev_semantic_map": output.bev_semantic[..., ::8, ::8],
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=2e-4, err_msg=name)


def test_nano_has_about_a_million_parameters_and_the_shapes_its_config_says(nano):
    assert 0.8e6 < sum(weight.numel() for weight in nano.parameters()) < 1.3e6
    with torch.inference_mode():
        output = nano(*inputs())
    assert output.trajectory.shape == (3, NANO.poses, 3)
    assert output.agent_states.shape == (3, NANO.agents, 5) and output.agent_labels.shape == (3, NANO.agents)
    assert output.bev_semantic.shape == (3, NANO.bev_classes, *NANO.bev_map_size)
    assert output.trajectory[..., 2].abs().max() <= math.pi
    assert output.agent_states[..., :2].abs().max() <= NANO.agent_range


def test_the_seed_alone_decides_the_first_weights():
    torch.manual_seed(5)
    one = build(NANO, seed=3).state_dict()
    before = torch.get_rng_state()
    two, other = build(NANO, seed=3).state_dict(), build(NANO, seed=4).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["_backbone.lidar_latent"], other["_backbone.lidar_latent"])


def test_a_sample_is_planned_alike_alone_and_in_a_batch(nano):
    rgb, status = inputs(5)
    with torch.inference_mode():
        together = nano(rgb, status).trajectory
        alone = torch.cat([nano(rgb[i : i + 1], status[i : i + 1]).trajectory for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_plan_reads_image_and_status_alike(nano):
    rgb, status = inputs()
    with torch.inference_mode():
        plan = nano(rgb, status).trajectory
        assert (nano(rgb.roll(40, -1), status).trajectory - plan).abs().max() > 1e-4
        assert (nano(rgb, -status).trajectory - plan).abs().max() > 1e-4


def test_sharing_the_latent_branch_changes_no_gradient():
    """Twin: the latent picture handed in once for every sample, as LiDAR."""
    ours = build(NANO, seed=2)
    config = dataclasses.replace(NANO, trunk=dataclasses.replace(NANO.trunk, latent=False))
    twin = build(config, seed=2)
    twin.load_state_dict({k: v for k, v in ours.state_dict().items() if k != "_backbone.lidar_latent"})
    latent = ours._backbone.lidar_latent.detach().expand(3, -1, -1, -1).clone().requires_grad_()
    rgb, status = inputs()
    a, b = ours(rgb, status), twin(rgb, status, latent)
    torch.testing.assert_close(a.trajectory, b.trajectory, rtol=1e-4, atol=1e-5)
    (a.trajectory.square().sum() + a.bev_semantic.square().mean()).backward()
    (b.trajectory.square().sum() + b.bev_semantic.square().mean()).backward()
    expected = latent.grad.sum(0, keepdim=True)
    torch.testing.assert_close(ours._backbone.lidar_latent.grad, expected, rtol=1e-3, atol=1e-4 * expected.abs().max())


def test_an_image_of_another_resolution_is_refused(nano):
    with pytest.raises(AssertionError, match="128"):
        nano(torch.rand(1, 3, 64, 128), torch.zeros(1, 8))
