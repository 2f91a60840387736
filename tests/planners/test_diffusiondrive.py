"""DiffusionDrive: the reference's numbers under the same weights, and what its switches change."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from simscale.planners.ddim import alphas_of, ddim_step, noised, point_embedding, sinusoid
from simscale.planners.diffusiondrive import (
    NANO,
    PUBLISHED_LIDAR,
    PUBLISHED_SIMSCALE,
    DiffusionDrive,
    DiffusionDriveOutput,
    build,
    in_metres,
    normalised,
    town_anchors,
)
from simscale.planners.diffusiondrive_loss import DiffusionDriveLossConfig, diffusiondrive_loss
from simscale.planners.ltf_loss import LtfTargets

PUBLISHED = {"diffusiondrive_simscale": PUBLISHED_SIMSCALE, "diffusiondrive_hustvl": PUBLISHED_LIDAR}
CLOSE = {"rtol": 1e-4, "atol": 2e-4}


def inputs(count: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 64, 256, generator=draw), torch.randn(count, 8, generator=draw)


def noise(count: int = 3, seed: int = 5) -> torch.Tensor:
    return torch.randn(count, 20, 8, 2, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def nano() -> DiffusionDrive:
    return build(NANO, seed=1).eval()


@pytest.mark.shared
@pytest.mark.parametrize("case", PUBLISHED)
def test_published_presets_have_the_references_weights_by_name_order_and_shape(golden, case):
    manifest = golden.read(f"{case}.manifest.json")
    with torch.device("meta"):
        model = DiffusionDrive(PUBLISHED[case])
    ours = [(name, list(weight.shape)) for name, weight in model.state_dict().items()]
    assert ours == [(row["key"], row["shape"]) for row in manifest["state_dict"]]
    assert len(ours) == (764 if PUBLISHED[case].trunk.latent else 763)
    known = dict(model.named_parameters())
    for row in manifest["state_dict"]:
        assert (row["key"] in known) == (row["kind"] == "parameter")
        assert row["kind"] == "buffer" or known[row["key"]].requires_grad == row["requires_grad"]
    assert sum(weight.numel() for weight in known.values()) == manifest["n_params"]


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
    drawn = torch.from_numpy(expected["noise"])
    seen = Seen(model)
    with torch.inference_mode():
        output = model(rgb, status, lidar, noise=drawn)
        found = seen.found() | {
            "tf_decoder": model.answers(seen.trunk[0][1], status)[:, :6, ::2],
            "trajectory": output.trajectory,
            "agent_states": output.agent_states,
            "agent_labels": output.agent_labels,
            "bev_semantic_map": output.bev_semantic[..., ::8, ::8],
        }
        step = torch.from_numpy(expected["train_timesteps"])
        taught = model(rgb, status, lidar, noise=drawn, step=step)
    found |= {"train_trajectory": taught.trajectory, "train_trajectory_loss": teaching(taught, expected)}
    for layer in (0, 1):
        one = dataclasses.replace(
            taught, mode_poses=taught.mode_poses[[layer]], mode_logits=taught.mode_logits[[layer]]
        )
        found[f"train_trajectory_loss_{layer}"] = teaching(one, expected)
    given = {"status_feature", "noise", "train_timesteps", "train_target"}
    assert found.keys() == expected.keys() - given
    for key, value in found.items():
        np.testing.assert_allclose(value, expected[key], **CLOSE, err_msg=key)


def teaching(output: DiffusionDriveOutput, expected: dict[str, np.ndarray]) -> torch.Tensor:
    """The loss of modes and poses."""
    targets = LtfTargets(
        trajectory=torch.from_numpy(expected["train_target"]),
        agent_states=torch.zeros(2, 30, 5),
        agent_labels=torch.zeros(2, 30, dtype=torch.bool),
        bev_semantic=torch.zeros(2, 128, 256, dtype=torch.uint8),
    )
    return diffusiondrive_loss(output, targets, config=DiffusionDriveLossConfig()).trajectory


class Seen:
    """What passes by within a planner."""

    def __init__(self, model: DiffusionDrive):
        head = model._trajectory_head
        self.trunk, self.bev, self.time, self.points, self.layers = [], [], [], [], []
        for module, shelf in ((model._backbone, self.trunk), (model.bev_proj, self.bev), (head.time_mlp, self.time)):
            module.register_forward_hook(lambda module, args, result, shelf=shelf: shelf.append(result))
        head.diff_decoder.register_forward_hook(self._decoded)

    def _decoded(self, module, args, result) -> None:
        self.points.append(args[1])
        self.layers.append(result)

    def found(self) -> dict[str, torch.Tensor]:
        numbers = {
            "backbone_bev_upscale": self.trunk[0][0][:, ::4, ::8, ::8],
            "bev_proj": self.bev[0].flatten(1, 2)[:, ::64, ::4],
        }
        for step, (points, time, (poses, logits)) in enumerate(zip(self.points, self.time, self.layers, strict=True)):
            numbers |= {f"step{step}_noisy_points": points, f"step{step}_time_embed": time[:, None]}
            for layer in range(len(poses)):
                numbers[f"step{step}_layer{layer}_poses_reg"] = poses[layer]
                numbers[f"step{step}_layer{layer}_poses_cls"] = logits[layer]
        return numbers


@pytest.mark.shared
def test_noise_and_embeddings_are_the_references(golden):
    misc = golden.numbers("misc")
    np.testing.assert_array_equal(alphas_of(), misc["alphas_cumprod"])
    points = torch.from_numpy(misc["sine_points"])
    np.testing.assert_allclose(point_embedding(points, 64), misc["sine_embed"], atol=1e-6)
    np.testing.assert_allclose(sinusoid(torch.tensor([0, 10, 49]), 256), misc["time_sinusoid"], atol=1e-5)


def test_a_step_with_the_true_answer_takes_noise_away_and_leaves_the_rest():
    alphas, draw = alphas_of(), torch.Generator().manual_seed(0)
    clean = 0.9 * (2 * torch.rand(4, 8, 2, generator=draw) - 1)
    drawn = torch.randn(4, 8, 2, generator=draw)
    at = [noised(clean, drawn, alphas[step].expand(4)) for step in (400, 100)]
    torch.testing.assert_close(ddim_step(at[0], clean, alphas[400], alphas[100]), at[1], rtol=1e-4, atol=1e-5)
    assert alphas[0] > 0.999 and alphas[-1] < 0.01


def test_metres_and_back():
    xy = torch.tensor([[-1.2, -20.0], [55.7, 26.0], [10.0, 0.0]])
    torch.testing.assert_close(normalised(xy)[:2], torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    torch.testing.assert_close(in_metres(normalised(xy)), xy)


def test_anchors_are_the_towns_and_lie_where_the_diffusion_knows(nano):
    anchors = town_anchors()
    assert anchors.shape == (20, 8, 2) and torch.equal(nano._trajectory_head.plan_anchor, anchors)
    assert not nano._trajectory_head.plan_anchor.requires_grad
    assert normalised(anchors).abs().max() < 1.0
    assert anchors[0, -1].norm() < 1.0 < 40.0 < anchors[-1, -1, 0], "from standing to fast"


def test_nano_has_about_a_million_parameters_and_the_shapes_its_config_says(nano):
    assert 0.8e6 < sum(weight.numel() for weight in nano.parameters()) < 1.3e6
    with torch.inference_mode():
        output = nano(*inputs())
    assert output.trajectory.shape == (3, 8, 3) and output.trajectory[..., 2].abs().max() <= math.pi
    assert output.mode_poses.shape == (2, 3, 20, 8, 3) and output.mode_logits.shape == (2, 3, 20)
    assert output.agent_states.shape == (3, NANO.agents, 5)
    assert output.bev_semantic.shape == (3, NANO.bev_classes, *NANO.bev_map_size)
    best = output.mode_logits[-1].argmax(dim=-1)
    assert torch.equal(output.trajectory, output.mode_poses[-1, range(3), best])


def test_a_sample_is_planned_alike_alone_and_in_a_batch_and_twice(nano):
    rgb, status = inputs(5)
    with torch.inference_mode():
        together = nano(rgb, status).trajectory
        alone = torch.cat([nano(rgb[i : i + 1], status[i : i + 1]).trajectory for i in range(5)])
        torch.randn(7)
        again = nano(rgb, status).trajectory
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert torch.equal(together, again)


def test_the_seed_decides_the_noise_and_nothing_else_draws(nano):
    rgb, status = inputs()
    before = torch.get_rng_state()
    with torch.inference_mode():
        one, two, other = (nano(rgb, status, seed=seed).mode_poses for seed in (0, 0, 1))
    assert torch.equal(one, two) and (one - other).abs().max() > 1e-3
    assert torch.equal(before, torch.get_rng_state())


def test_the_plan_reads_image_status_and_the_egos_own_answer(nano):
    rgb, status = inputs()
    with torch.inference_mode():
        plan = nano(rgb, status).mode_poses
        assert (nano(rgb.roll(40, -1), status).mode_poses - plan).abs().max() > 1e-4
        assert (nano(rgb, -status).mode_poses - plan).abs().max() > 1e-4
        for layer in nano._trajectory_head.diff_decoder.layers:
            weight = layer.cross_ego_attention.out_proj.weight
            held = weight.clone()
            weight.zero_()
            assert (nano(rgb, status).mode_poses - plan).abs().max() > 1e-4
            weight.copy_(held)


def test_training_draws_noise_from_torchs_stream_and_every_sample_its_own():
    rgb, status = (each[:1].expand(4, *each.shape[1:]) for each in inputs())
    model = build(NANO, seed=1)
    torch.manual_seed(3)
    first = model(rgb, status)
    torch.manual_seed(3)
    second = model(rgb, status)
    assert torch.equal(first.mode_poses, second.mode_poses) and not first.sampled
    assert (first.mode_poses[:, 0] - first.mode_poses[:, 1]).abs().max() > 1e-3


def test_without_legacy_steps_the_noise_falls_to_the_steps_that_the_model_is_told(nano):
    """Twin: the passes one by one."""
    config = dataclasses.replace(NANO, legacy_steps=False, model_steps=(40, 10))
    model = build(config, seed=1).eval()
    head, drawn = model._trajectory_head, noise()
    with torch.inference_mode():
        view = seen_by(model)
        found, _ = head.sampled(view, drawn)
        begin = torch.full((3,), 40)
        noisy = noised(normalised(head.plan_anchor).expand_as(drawn), drawn, head.alphas[begin])
        poses, _ = head.denoised(noisy, begin, view)
        later = ddim_step(noisy, normalised(poses[-1, ..., :2]), head.alphas[40], head.alphas[10])
        expected, _ = head.denoised(later, torch.full((3,), 10), view)
        legacy, _ = nano._trajectory_head.sampled(view, drawn)
    assert torch.equal(found, expected) and (found - legacy).abs().max() > 1e-3


def test_without_reset_query_a_layer_goes_on_from_what_the_one_before_it_found(nano):
    model = build(dataclasses.replace(NANO, reset_query_per_layer=False), seed=1).eval()
    with torch.inference_mode():
        ours, theirs = (each(*inputs()).mode_poses for each in (model, nano))
        step = torch.zeros(3, dtype=torch.long)
        one, other = (each(*inputs(), noise=noise(), step=step).mode_poses for each in (model, nano))
    torch.testing.assert_close(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-4
    assert (ours - theirs).abs().max() > 1e-4


def seen_by(model: DiffusionDrive):
    """What the diffusion's layers look at, for `inputs()`."""
    seen = []
    handle = model._trajectory_head.diff_decoder.register_forward_hook(lambda m, args, r: seen.append(args[2]))
    model(*inputs())
    handle.remove()
    return seen[0]
