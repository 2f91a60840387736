import dataclasses
import itertools

import numpy as np
import pytest
import torch

from simscale.planners.ltf import NANO, LtfOutput, build
from simscale.planners.ltf_loss import LtfLossConfig, LtfTargets, ltf_loss

PAPER = LtfLossConfig()
TERMS = ("total", "trajectory", "agent_class", "agent_box", "bev_semantic")


def batch(count: int = 4, agents: int = 5, seed: int = 0) -> tuple[LtfOutput, LtfTargets]:
    draw = torch.Generator().manual_seed(seed)
    output = LtfOutput(
        trajectory=torch.randn(count, 8, 3, generator=draw),
        agent_states=10 * torch.randn(count, agents, 5, generator=draw),
        agent_labels=torch.randn(count, agents, generator=draw),
        bev_semantic=torch.randn(count, 7, 8, 16, generator=draw),
    )
    targets = LtfTargets(
        trajectory=torch.randn(count, 8, 3, generator=draw),
        agent_states=10 * torch.randn(count, agents, 5, generator=draw),
        agent_labels=torch.rand(count, agents, generator=draw) < 0.6,
        bev_semantic=torch.randint(0, 7, (count, 8, 16), generator=draw, dtype=torch.uint8),
    )
    return output, targets


def chosen(noun, index):
    """The samples `index` of an output or of targets."""
    values = {field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)}
    return type(noun)(**{name: value if value is None else value[index] for name, value in values.items()})


def numbers(output, targets, config=PAPER) -> dict[str, float]:
    loss = ltf_loss(output, targets, config=config)
    return {name: float(getattr(loss, name)) for name in TERMS}


@pytest.mark.shared
@pytest.mark.parametrize(("latent", "bearing"), [(1, PAPER.seen_bearing), (0, None)])
def test_the_loss_is_the_references(golden, latent, bearing):
    held = {name: torch.from_numpy(value) for name, value in golden.numbers("losses").items()}
    output = LtfOutput(
        trajectory=held["traj_pred"],
        agent_states=held["agent_pred_states"],
        agent_labels=held["agent_pred_logits"],
        bev_semantic=held["bev_logits"],
    )
    targets = LtfTargets(
        trajectory=held["traj_target"],
        agent_states=held["agent_gt_states"],
        agent_labels=held["agent_gt_labels"],
        bev_semantic=held["bev_target"],
    )
    found = numbers(output, targets, LtfLossConfig(seen_bearing=bearing))
    for ours, theirs in (("agent_class", "agent_class_loss"), ("agent_box", "agent_box_loss"), ("total", "total")):
        np.testing.assert_allclose(found[ours], held[f"ltf_{theirs}_latent{latent}"], rtol=1e-6)


def test_matching_finds_the_cheapest_of_all_permutations():
    output, targets = batch(count=1, agents=4, seed=3)
    config = LtfLossConfig(seen_bearing=None)
    present = targets.agent_labels[0].float()
    best = np.inf, 0.0, 0.0
    for order in itertools.permutations(range(4)):
        there, states = present[list(order)], targets.agent_states[0, list(order)]
        presence = torch.nn.functional.binary_cross_entropy_with_logits(output.agent_labels[0], there, reduction="none")
        error = (output.agent_states[0] - states).abs()
        cost = 10 * presence.sum() + (error[:, :2].sum(-1) * there).sum()
        box = (error.sum(-1) * there).sum() / there.sum()
        best = min(best, (float(cost), float(presence.mean()), float(box)))
    found = numbers(output, targets, config)
    np.testing.assert_allclose([found["agent_class"], found["agent_box"]], best[1:], rtol=1e-5)


def test_the_order_of_agents_does_not_matter():
    output, targets = batch()
    order = torch.tensor([3, 1, 4, 0, 2])
    mixed = dataclasses.replace(
        targets, agent_states=targets.agent_states[:, order], agent_labels=targets.agent_labels[:, order]
    )
    np.testing.assert_allclose(
        list(numbers(output, targets).values()), list(numbers(output, mixed).values()), rtol=1e-5
    )


def test_perfect_answers_cost_nothing():
    _, targets = batch()
    there = torch.where(targets.agent_labels, 50.0, -50.0)
    paint = 100.0 * torch.nn.functional.one_hot(targets.bev_semantic.long(), 7).permute(0, 3, 1, 2)
    output = LtfOutput(
        trajectory=targets.trajectory, agent_states=targets.agent_states, agent_labels=there, bev_semantic=paint
    )
    assert numbers(output, targets, LtfLossConfig(seen_bearing=None))["total"] < 1e-6


def test_a_sample_without_part_counts_for_nothing_even_if_it_holds_nonsense():
    output, targets = batch()
    part = torch.tensor([True, False, True, False])
    broken = dataclasses.replace(
        targets,
        trajectory=torch.where(part[:, None, None], targets.trajectory, torch.nan),
        imitate=part,
        auxiliary=part,
    )
    expected = numbers(chosen(output, part), chosen(targets, part))
    np.testing.assert_allclose(list(numbers(output, broken).values()), list(expected.values()), rtol=1e-5)


def test_masks_are_apart_and_all_true_is_none():
    output, targets = batch()
    part, everyone = torch.tensor([True, False, True, True]), torch.ones(4, dtype=torch.bool)
    plain = numbers(output, targets)
    assert numbers(output, dataclasses.replace(targets, imitate=everyone, auxiliary=everyone)) == plain
    some = numbers(output, dataclasses.replace(targets, auxiliary=part))
    assert some["trajectory"] == plain["trajectory"] and some["bev_semantic"] != plain["bev_semantic"]


def test_legacy_mean_lets_those_left_out_dilute_the_others():
    output, targets = batch()
    masked = dataclasses.replace(targets, imitate=torch.tensor([True, False, True, False]))
    ours, legacy = numbers(output, masked), numbers(output, masked, LtfLossConfig(legacy_mean=True))
    np.testing.assert_allclose(legacy["trajectory"], ours["trajectory"] / 2, rtol=1e-6)


def test_a_batch_that_nobody_takes_part_in_costs_nothing_and_has_gradients():
    output, targets = batch()
    nobody = torch.zeros(4, dtype=torch.bool)
    trajectory = output.trajectory.requires_grad_()
    masked = dataclasses.replace(targets, imitate=nobody, auxiliary=nobody)
    loss = ltf_loss(dataclasses.replace(output, trajectory=trajectory), masked, config=PAPER)
    loss.total.backward()
    assert float(loss.total.detach()) == 0.0 and trajectory.grad.abs().max() == 0.0


def test_a_coarse_map_is_taught_by_every_second_cell():
    output, targets = batch()
    coarse = dataclasses.replace(output, bev_semantic=output.bev_semantic[:, :, :4, :8])
    thinned = dataclasses.replace(targets, bev_semantic=targets.bev_semantic[:, 1::2, 1::2])
    assert numbers(coarse, targets) == numbers(coarse, thinned)


def test_nano_learns_four_samples_by_heart():
    model = build(NANO, seed=0)
    draw = torch.Generator().manual_seed(1)
    rgb, status = torch.rand(4, 3, 64, 256, generator=draw), torch.randn(4, 8, generator=draw)
    _, targets = batch(agents=30)
    targets = dataclasses.replace(targets, bev_semantic=torch.zeros(4, 128, 256, dtype=torch.uint8))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    course = []
    for _ in range(40):
        loss = ltf_loss(model(rgb, status), targets, config=PAPER)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        course.append(float(loss.trajectory.detach()))
    assert course[-1] < 0.5 * course[0]


def test_a_share_of_the_auxiliary_losses_leaves_plan_and_matches():
    output, targets = batch()
    full, part = (numbers(output, targets, PAPER.with_auxiliary(share)) for share in (1.0, 0.25))
    assert all(full[name] == part[name] for name in TERMS[1:])
    rest = [found["total"] - 10 * found["trajectory"] for found in (full, part)]
    assert rest[1] == pytest.approx(0.25 * rest[0], rel=1e-5)
