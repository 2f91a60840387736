"""DiffusionDrive's loss: the reference's, and what its terms are about."""

import dataclasses

import numpy as np
import pytest
import torch

from simscale.dataset.mixture import Mixture
from simscale.planners import PLANNERS
from simscale.planners.diffusiondrive import NANO, DiffusionDriveOutput, build, town_anchors
from simscale.planners.diffusiondrive_loss import (
    DiffusionDriveLossConfig,
    diffusiondrive_loss,
    nearest_anchor,
)
from simscale.planners.ltf_loss import LtfTargets
from simscale.train import TrainConfig
from simscale.train.optimiser import optimisers_of

PAPER = DiffusionDriveLossConfig()


def batch(count: int = 4, agents: int = 5, seed: int = 0, layers: int = 2) -> tuple[DiffusionDriveOutput, LtfTargets]:
    draw = torch.Generator().manual_seed(seed)
    output = DiffusionDriveOutput(
        trajectory=torch.randn(count, 8, 3, generator=draw),
        agent_states=10 * torch.randn(count, agents, 5, generator=draw),
        agent_labels=torch.randn(count, agents, generator=draw),
        bev_semantic=torch.randn(count, 7, 8, 16, generator=draw),
        mode_poses=10 * torch.randn(layers, count, 20, 8, 3, generator=draw),
        mode_logits=torch.randn(layers, count, 20, generator=draw),
        anchors=10 * torch.randn(20, 8, 2, generator=draw),
        sampled=False,
    )
    targets = LtfTargets(
        trajectory=10 * torch.randn(count, 8, 3, generator=draw),
        agent_states=10 * torch.randn(count, agents, 5, generator=draw),
        agent_labels=torch.rand(count, agents, generator=draw) < 0.6,
        bev_semantic=torch.randint(0, 7, (count, 8, 16), generator=draw, dtype=torch.uint8),
    )
    return output, targets


def numbers(output, targets, config=PAPER) -> dict[str, float]:
    loss = diffusiondrive_loss(output, targets, config=config)
    return {name: float(value) for name, value in vars(loss).items()}


@pytest.mark.shared
def test_the_loss_is_the_references(golden):
    held = {name: torch.from_numpy(value) for name, value in golden.numbers("losses").items()}
    output = DiffusionDriveOutput(
        trajectory=held["traj_pred"],
        agent_states=held["agent_pred_states"],
        agent_labels=held["agent_pred_logits"],
        bev_semantic=held["bev_logits"],
        mode_poses=held["dd_poses_reg"][None],
        mode_logits=held["dd_poses_cls"][None],
        anchors=held["dd_anchors"],
        sampled=False,
    )
    targets = LtfTargets(
        trajectory=held["traj_target"],
        agent_states=held["agent_gt_states"],
        agent_labels=held["agent_gt_labels"],
        bev_semantic=held["bev_target"],
    )
    np.testing.assert_array_equal(nearest_anchor(output.anchors, targets.trajectory), held["dd_mode_idx"])
    found = numbers(output, targets)
    weighted = {
        "dd_loss": found["trajectory"],
        "dd_focal": found["modes"],
        "dd_total_trajectory_loss": 12 * found["trajectory"],
        "dd_total_agent_class_loss": 10 * found["agent_class"],
        "dd_total_agent_box_loss": found["agent_box"],
        "dd_total_bev_semantic_loss": 14 * found["bev_semantic"],
        "dd_total_loss": found["total"],
    }
    for name, value in weighted.items():
        np.testing.assert_allclose(value, held[name], rtol=1e-5, err_msg=name)


def test_layers_add_up():
    output, targets = batch()
    parts = []
    for layer in (0, 1):
        one = {"mode_poses": output.mode_poses[[layer]], "mode_logits": output.mode_logits[[layer]]}
        parts.append(numbers(dataclasses.replace(output, **one), targets)["trajectory"])
    assert numbers(output, targets)["trajectory"] == pytest.approx(sum(parts), rel=1e-6)


def test_perfect_answers_cost_nothing():
    output, targets = batch()
    right = nearest_anchor(output.anchors, targets.trajectory)
    sure = torch.where(torch.nn.functional.one_hot(right, 20) > 0, 40.0, -40.0).expand(2, -1, -1)
    poses = output.mode_poses.clone()
    poses[:, torch.arange(4), right] = targets.trajectory
    found = numbers(dataclasses.replace(output, mode_poses=poses, mode_logits=sure), targets)
    assert found["trajectory"] < 1e-6 and found["modes"] < 1e-6


def test_only_the_right_modes_plan_is_pulled():
    output, targets = batch()
    right = nearest_anchor(output.anchors, targets.trajectory)
    poses = output.mode_poses.clone().requires_grad_()
    diffusiondrive_loss(dataclasses.replace(output, mode_poses=poses), targets, config=PAPER).total.backward()
    pulled = poses.grad.abs().amax(dim=(0, 3, 4)) > 0
    assert torch.equal(pulled, torch.nn.functional.one_hot(right, 20).bool())


def test_a_sample_without_part_counts_for_nothing_and_legacy_mean_lets_it_dilute():
    output, targets = batch()
    part = torch.tensor([True, False, True, False])
    masked = dataclasses.replace(targets, imitate=part)
    alone = dataclasses.replace(
        output,
        mode_poses=output.mode_poses[:, part],
        mode_logits=output.mode_logits[:, part],
        trajectory=output.trajectory[part],
        agent_states=output.agent_states[part],
        agent_labels=output.agent_labels[part],
        bev_semantic=output.bev_semantic[part],
    )
    taught = LtfTargets(
        trajectory=targets.trajectory[part],
        agent_states=targets.agent_states[part],
        agent_labels=targets.agent_labels[part],
        bev_semantic=targets.bev_semantic[part],
    )
    expected = numbers(alone, taught)["trajectory"]
    assert numbers(output, masked)["trajectory"] == pytest.approx(expected, rel=1e-6)
    heads = dataclasses.replace(PAPER.heads, legacy_mean=True)
    legacy = numbers(output, masked, dataclasses.replace(PAPER, heads=heads))
    assert legacy["trajectory"] == pytest.approx(expected / 2, rel=1e-6)


def test_a_share_of_the_auxiliary_losses_leaves_the_plan():
    output, targets = batch()
    full, part = (numbers(output, targets, PAPER.with_auxiliary(share)) for share in (1.0, 0.25))
    assert all(full[name] == part[name] for name in full if name != "total")
    rest = [found["total"] - 12 * found["trajectory"] for found in (full, part)]
    assert rest[1] == pytest.approx(0.25 * rest[0], rel=1e-5)


def test_legacy_validation_is_the_chosen_plans_error_alone():
    output, targets = batch()
    legacy = dataclasses.replace(PAPER, legacy_validation=True)
    assert numbers(output, targets, legacy) == numbers(output, targets)
    found = numbers(dataclasses.replace(output, sampled=True), targets, legacy)["trajectory"]
    assert found == pytest.approx(float((output.trajectory - targets.trajectory).abs().mean()), rel=1e-6)


@pytest.mark.slow
def test_nano_learns_four_samples_by_heart():
    """Through the noise of training and both passes of inference: each sample its own mode, moved to where it belongs.

    What is left is the noise itself: a tenth of it shows in every plan.
    """
    kind = PLANNERS["diffusiondrive"]
    model = build(NANO, seed=0)
    draw = torch.Generator().manual_seed(1)
    rgb = torch.rand(4, 3, 4, 16, generator=draw).repeat_interleave(16, 2).repeat_interleave(16, 3)
    status = torch.eye(4, 8) + torch.tensor([[1.0], [4.0], [8.0], [12.0]]) * torch.eye(8)[4]
    modes = torch.tensor([1, 5, 9, 13])
    wanted = torch.cat([town_anchors()[modes] + 1.0, torch.full((4, 8, 1), 0.2)], dim=-1)
    _, targets = batch(agents=30)
    targets = dataclasses.replace(targets, trajectory=wanted, bev_semantic=torch.zeros(4, 32, 64, dtype=torch.uint8))
    optimiser = optimisers_of(model, TrainConfig(mixture=Mixture(real=())), outputs=kind.outputs)
    torch.manual_seed(0)
    for step in range(90):
        optimiser.set_rate(3e-3 * min(1.0, (step + 1) / 10) * (1 - step / 90))
        loss = diffusiondrive_loss(model(rgb, status), targets, config=PAPER.with_auxiliary(0.1))
        optimiser.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()
    with torch.inference_mode():
        found = model(rgb, status)
    assert torch.equal(found.mode_logits[-1].argmax(dim=-1), modes)
    assert (found.trajectory - wanted)[..., :2].norm(dim=-1).mean() < 1.3
    assert (found.trajectory - wanted)[..., 2].abs().mean() < 0.1
