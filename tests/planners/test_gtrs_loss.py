import dataclasses

import numpy as np
import pytest
import torch

from simscale.planners.gtrs import NANO, GtrsOutput, build, fan
from simscale.planners.gtrs_head import METRICS
from simscale.planners.gtrs_loss import GtrsLossConfig, GtrsTargets, MetricWeights, gtrs_loss, likeness

PAPER = GtrsLossConfig()
TERMS = ("total", "imitation", *METRICS)
LETTERS = ("noc", "da", "ttc", "progress", "ddc", "lk", "tl")
"""How the reference names the metrics' losses, in the order of `METRICS`."""


def batch(count: int = 4, size: int = 12, seed: int = 0) -> tuple[GtrsOutput, GtrsTargets]:
    draw = torch.Generator().manual_seed(seed)
    candidates = fan(size)
    output = GtrsOutput(
        trajectory=candidates[:1].expand(count, -1, -1),
        choice=torch.zeros(count, dtype=torch.long),
        total=torch.randn(count, size, generator=draw),
        metrics=torch.randn(count, len(METRICS), size, generator=draw),
        imitation=torch.randn(count, size, generator=draw),
        candidates=candidates,
        rows=torch.arange(size),
    )
    rewards = torch.randint(0, 2, (count, len(METRICS), size), generator=draw).float()
    driven = candidates[:count, 4::5] + 0.1 * torch.randn(count, 8, 3, generator=draw)
    return output, GtrsTargets(trajectory=driven, rewards=rewards)


def chosen(noun, index, fields):
    return dataclasses.replace(noun, **{name: getattr(noun, name)[index] for name in fields})


def numbers(output, targets, config=PAPER) -> dict[str, float]:
    loss = gtrs_loss(output, targets, config=config)
    return {name: float(getattr(loss, name)) for name in TERMS}


@pytest.mark.shared
@pytest.mark.parametrize(("imitate", "case"), [(None, "imi_all"), ((True, False, True, False), "imi_masked")])
def test_the_loss_is_the_references(golden, imitate, case):
    held = {name: torch.from_numpy(value) for name, value in golden.numbers("losses").items()}
    rows = held["gtrs_dropout_indices"]
    output = GtrsOutput(
        trajectory=held["gtrs_vocab"][:4],
        choice=rows[:4],
        total=held["gtrs_pred_imi"],
        metrics=torch.stack([held[f"gtrs_pred_{name}"] for name in METRICS.values()], dim=1),
        imitation=held["gtrs_pred_imi"],
        candidates=held["gtrs_vocab"][rows],
        rows=rows,
    )
    targets = GtrsTargets(
        trajectory=held["traj_target"],
        rewards=torch.stack([held[f"gtrs_score_{name}"] for name in METRICS.values()], dim=1),
        imitate=None if imitate is None else torch.tensor(imitate),
    )
    found = numbers(output, targets, GtrsLossConfig(legacy_mean=True))
    expected = {"total": held[f"gtrs_total_{case}"], "imitation": held[f"gtrs_imi_loss_{case}"]}
    for name, letters in zip(METRICS, LETTERS, strict=True):
        expected[name] = held[f"gtrs_pdm_{letters}_loss_{case}"] / getattr(MetricWeights(), name)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_foresight_of_everything_costs_least():
    output, targets = batch()
    assert targets.rewards is not None
    sure = dataclasses.replace(output, metrics=60.0 * (2 * targets.rewards - 1))
    found, other = numbers(sure, targets), numbers(output, targets)
    assert all(found[name] < 1e-6 < other[name] for name in METRICS)


def test_imitation_costs_least_for_the_likeness_itself():
    output, targets = batch()
    wanted = likeness(output.candidates, targets.trajectory, PAPER)
    assert torch.equal(wanted.argmax(1), torch.arange(4))
    torch.testing.assert_close(wanted.sum(1), torch.ones(4))
    best = dataclasses.replace(output, imitation=wanted.clamp(min=1e-30).log())
    entropy = -(wanted * wanted.clamp(min=1e-30).log()).sum(1).mean()
    assert numbers(best, targets)["imitation"] == pytest.approx(float(entropy), rel=1e-5)
    assert numbers(output, targets)["imitation"] > float(entropy)


def test_only_the_candidates_rewards_are_taught():
    output, targets = batch()
    rows = torch.tensor([7, 2, 9])
    part = dataclasses.replace(
        output,
        total=output.total[:, rows],
        metrics=output.metrics[..., rows],
        imitation=output.imitation[:, rows],
        candidates=output.candidates[rows],
        rows=rows,
    )
    assert targets.rewards is not None
    inverted = 1.0 - targets.rewards
    inverted[..., rows] = targets.rewards[..., rows]
    assert numbers(part, targets) == numbers(part, dataclasses.replace(targets, rewards=inverted))


def test_half_a_fault_is_a_fault_in_the_metrics_that_know_halves():
    output, targets = batch()
    half = dataclasses.replace(targets, rewards=torch.full_like(targets.rewards, 0.5))
    none = dataclasses.replace(targets, rewards=torch.zeros_like(targets.rewards))
    found, without = numbers(output, half), numbers(output, none)
    same = {name for name in METRICS if found[name] == without[name]}
    assert same == {"no_at_fault_collision", "driving_direction"}
    assert not any(
        numbers(output, half, GtrsLossConfig(half_is_fault=False))[name] == without[name] for name in METRICS
    )


def test_a_sample_without_part_counts_for_nothing_even_if_it_holds_nonsense():
    output, targets = batch()
    part = torch.tensor([True, False, True, False])
    fields = ("trajectory", "choice", "total", "metrics", "imitation")
    expected = numbers(chosen(output, part, fields), chosen(targets, part, ("trajectory", "rewards")))
    broken = dataclasses.replace(
        targets,
        trajectory=torch.where(part[:, None, None], targets.trajectory, torch.nan),
        rewards=torch.where(part[:, None, None], targets.rewards, torch.nan),
        imitate=part,
        rewarded=part,
    )
    np.testing.assert_allclose(list(numbers(output, broken).values()), list(expected.values()), rtol=1e-5)
    gtrs_loss(
        dataclasses.replace(
            output, metrics=output.metrics.requires_grad_(), imitation=output.imitation.requires_grad_()
        ),
        broken,
        config=PAPER,
    ).total.backward()
    for gradient in (output.metrics.grad, output.imitation.grad):
        assert gradient.isfinite().all() and gradient[part].any() and not gradient[~part].any()


def test_masks_are_apart_and_all_true_is_none():
    output, targets = batch()
    part, everyone = torch.tensor([True, False, True, True]), torch.ones(4, dtype=torch.bool)
    plain = numbers(output, targets)
    whole = numbers(output, dataclasses.replace(targets, imitate=everyone, rewarded=everyone))
    np.testing.assert_allclose(list(whole.values()), list(plain.values()), rtol=1e-6)
    rewards_only = numbers(output, dataclasses.replace(targets, imitate=part))
    assert rewards_only["progress"] == plain["progress"] and rewards_only["imitation"] != plain["imitation"]


def test_legacy_mean_lets_those_left_out_dilute_the_others():
    output, targets = batch()
    masked = dataclasses.replace(targets, imitate=torch.tensor([True, False, True, False]))
    ours, legacy = numbers(output, masked), numbers(output, masked, GtrsLossConfig(legacy_mean=True))
    assert legacy["imitation"] == pytest.approx(ours["imitation"] / 2, rel=1e-6)


def test_without_rewards_imitation_alone_is_taught():
    output, targets = batch()
    found = numbers(output, dataclasses.replace(targets, rewards=None))
    assert found["total"] == found["imitation"] and not any(found[name] for name in METRICS)
    nobody = torch.zeros(4, dtype=torch.bool)
    assert numbers(output, dataclasses.replace(targets, imitate=nobody, rewarded=nobody))["total"] == 0.0


@pytest.mark.slow
def test_nano_learns_four_samples_by_heart():
    model = build(dataclasses.replace(NANO, status_noise=(0.0, 0.0)), seed=0)
    draw = torch.Generator().manual_seed(1)
    rgb, status = torch.rand(4, 3, 64, 256, generator=draw), torch.randn(4, 8, generator=draw)
    vocab = model._trajectory_head.vocab
    driven = vocab[[10, 90, 150, 240]]
    rewards = (vocab[None, :, -1, 0] < driven[:, None, -1, 0] + 1.0).float()  # nobody gets past where it ends
    rewards = rewards[:, None].expand(-1, len(METRICS), -1)
    targets = GtrsTargets(trajectory=driven[:, 4::5], rewards=rewards)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    course = []
    for _ in range(61):
        output = model(rgb, status)
        loss = gtrs_loss(output, targets, config=PAPER)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        course.append(float(loss.total.detach()))
    assert course[-1] < 0.25 * course[0]
    off = (output.candidates[output.imitation.argmax(dim=1)] - driven)[..., :2].norm(dim=-1).mean(dim=1)
    assert float(off.max()) < 3.0  # m; the vocabulary reaches over 60
