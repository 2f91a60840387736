"""Mixture: what is taught, in which shares, and in which order."""

from pathlib import Path

import numpy as np
import pytest

from rendered import plain_folder
from simscale.dataset.command import Command
from simscale.dataset.loading import Examples, concatenated, read_examples
from simscale.dataset.mixture import Mixture, Sampler, mixed, quotas_of, strata_of
from simscale.scene import BadInput

SIZE = (64, 256)


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Examples:
    """30 real ones, of which 10 stand; 40 simulated ones, of which none does."""
    folder = tmp_path_factory.mktemp("mixture")
    straight = {"command_of": lambda i: Command.STRAIGHT}
    real = plain_folder(folder / "real", count=30, speed_of=lambda i: 0.0 if i < 10 else 6.0, **straight)
    simulated = plain_folder(folder / "sim", count=40, is_sim=True, speed_of=lambda i: 6.0, **straight)
    return concatenated([read_examples(part, size=SIZE) for part in (real, simulated)])


def mixture(**fields) -> Mixture:
    return Mixture(real=(Path("real"),), simulated=(Path("sim"),), **fields)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_simulated_examples_per_real_one(examples, share):
    chosen = mixed(examples, mixture(simulated_per_real=share))
    assert (chosen.real, chosen.simulated) == (30, round(30 * share))
    assert examples.is_sim[chosen.chosen].sum() == chosen.simulated


def test_a_larger_share_holds_all_of_a_smaller_one(examples):
    less, more = (set(mixed(examples, mixture(simulated_per_real=s)).chosen) for s in (0.3, 1.2))
    assert less < more


def test_rounds_and_experts_are_chosen_by_name(examples):
    assert mixed(examples, mixture(rounds=1)).simulated == 20
    assert mixed(examples, mixture(experts=("recovery",))).simulated == 0
    assert mixed(examples, mixture(simulated_per_real=1.0, expert_shares={"planner": 2.0})).simulated == 30


def test_more_than_there_is_is_refused(examples):
    with pytest.raises(BadInput, match="60 simulated examples, expected at most the 40"):
        mixed(examples, mixture(simulated_per_real=2.0))
    with pytest.raises(BadInput, match="20 examples of the recovery, expected at most the 0"):
        mixed(examples, mixture(simulated_per_real=1.0, expert_shares={"planner": 1.0, "recovery": 2.0}))


def test_whatever_is_added_one_stands_as_often_as_in_the_logs(examples):
    for share in (0.0, 1.0, None):
        sampler = Sampler(mixed=mixed(examples, mixture(simulated_per_real=share)), seed=3)
        rows = sampler.rows(0, len(sampler.mixed.chosen) * 10)
        stands = examples.status[rows, 4] < 0.5
        assert stands.mean() == pytest.approx(1 / 3, abs=0.02)
        assert not examples.is_sim[rows[stands]].any()


def test_a_stratum_that_no_log_has_keeps_its_share():
    status = np.zeros((4, 8), dtype=np.float32)
    status[:, 1] = 1.0
    status[:, 4] = [0.0, 1.0, 5.0, 9.0]
    assert strata_of(status).tolist() == [1, 5, 9, 13]
    assert quotas_of(np.array([0.5, 0.25, 0.25]), 7).tolist() == [3, 2, 2]


def test_the_order_is_a_function_of_seed_and_counter(examples):
    sampler = Sampler(mixed=mixed(examples, mixture()), seed=5)
    whole = sampler.rows(0, 500)
    for size in (1, 7, 32):
        pieces = [sampler.rows(first, min(size, 500 - first)) for first in range(0, 500, size)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_array_equal(Sampler(mixed=mixed(examples, mixture()), seed=5).rows(0, 500), whole)
    assert (Sampler(mixed=sampler.mixed, seed=6).rows(0, 500) != whole).any()


def test_within_a_stratum_everything_is_dealt_equally_often(examples):
    sampler = Sampler(mixed=mixed(examples, mixture()), seed=5)
    for decks in (1, 3, 10):
        rows = sampler.rows(0, 70 * decks)
        for stands in (True, False):
            times = np.bincount(rows[(examples.status[rows, 4] < 0.5) == stands], minlength=70)
            members = np.flatnonzero((examples.status[:, 4] < 0.5) == stands)
            assert np.ptp(times[members]) <= 1 and times.sum() == times[members].sum()


def test_strata_follow_band_and_command():
    status = np.zeros((2, 8), dtype=np.float32)
    status[0, Command.LEFT], status[1, Command.RIGHT] = 1.0, 1.0
    assert strata_of(status).tolist() == [0, 2]
