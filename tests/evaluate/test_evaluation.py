"""Whole evaluations on small splits: who scores what, and what failures do."""

import csv
import json

import numpy as np
import pytest

from simscale.cli.evaluate import worst_of
from simscale.evaluate.agents import AGENTS, ConstantVelocity, Human, StandStill
from simscale.evaluate.aggregate import COLUMNS, SCORE
from simscale.evaluate.evaluation import Evaluation, evaluated
from simscale.evaluate.judge import TRAFFIC, judged
from simscale.evaluate.results import read_units, reference_csv, write_results
from simscale.evaluate.starts import human_plan
from simscale.evaluate.summary import difference, summary_of, units_of
from simscale.scene import BadInput, Plan
from simscale.scoring import PARITY
from small_splits import small_splits


class Broken(StandStill):
    """Fails at some tokens, and plans what is no number at others."""

    name = "broken"

    def __init__(self, raises: str, lost: str):
        self.raises, self.lost = raises, lost

    def plan(self, starts):
        if any(start.token == self.raises for start in starts):
            raise ValueError("no idea")
        plan = super().plan(starts)
        for k, start in enumerate(starts):
            if start.token == self.lost:
                plan.xy[k, 3] = np.nan
        return plan


@pytest.fixture(scope="module")
def human() -> tuple[Evaluation, Evaluation]:
    return evaluated(small_splits().one, Human()), evaluated(small_splits().two, Human())


def test_the_human_of_a_log_is_a_good_driver_and_standing_still_is_none(human):
    still = evaluated(small_splits().one, StandStill())
    assert human[0].columns[:, SCORE].mean() > 0.85
    assert still.columns[:, SCORE].mean() < human[0].columns[:, SCORE].mean()
    np.testing.assert_allclose(human[0].ade, 0.0, atol=1e-9)


def test_no_multiplier_of_the_human_is_zero_in_the_first_stage(human):
    """The human filter sees to that."""
    for evaluation in human:
        first = np.array([start.stage == 1 for start in evaluation.split.starts])
        assert (evaluation.columns[first][:, :4] > 0).all()


def test_extended_comfort_is_of_the_later_of_two_frames_in_one_stage_and_of_both_in_two(human):
    one, two = human
    ec = COLUMNS.index("extended_comfort")
    later = np.zeros(len(one.scored), dtype=bool)
    later[one.split.pairs[:, 0]] = True
    np.testing.assert_array_equal(np.isnan(one.columns[:, ec]), ~later)
    np.testing.assert_array_equal(two.columns[two.split.pairs[:, 0], ec], two.columns[two.split.pairs[:, 1], ec])
    assert not np.isnan(two.columns[:, ec]).any()


def test_failures_are_listed_and_counted_and_leave_the_others_alone():
    split = small_splits().two
    group = split.groups[0]
    bad = [split.starts[group.pairs[0, 0]].token, split.starts[group.pairs[1, 1]].token]
    found, whole = evaluated(split, Broken(*bad)), evaluated(split, StandStill())
    assert sorted(token for token, _ in found.failures) == sorted(bad)
    assert {error for _, error in found.failures} == {"ValueError: no idea", "a plan that is not finite"}
    assert found.coverage == 1 - 2 / len(split.starts)
    sane = found.scored & (np.arange(len(found.scored)) != group.pairs[0, 1])
    sane &= np.arange(len(found.scored)) != group.pairs[1, 0]  # these two lost the partner of their comfort
    np.testing.assert_array_equal(found.columns[sane], whole.columns[sane])
    assert found.two_stages is not None and found.two_stages.scored.all()
    summary = summary_of(found)
    assert summary["counts"]["failed"] == 2 and len(summary["failures"]) == 2
    json.dumps(summary, allow_nan=False)


def test_missing_input_ends_an_evaluation_in_one_sentence():
    class Blind(StandStill):
        def plan(self, starts):
            raise BadInput("here", "scenery", "missing", "one")

    with pytest.raises(BadInput):
        evaluated(small_splits().one, Blind())


def test_the_summary_says_what_programs_rely_on(human):
    one, two = (summary_of(evaluation) for evaluation in human)
    assert one["stage_two"] is None and one["combined"] is None and one["epdms"] == one["stage_one"]
    assert two["epdms"] == two["combined"] and set(two["laws"]) == {"generator", "unseen"}
    assert one["protocol"] == "towntest-own/epdms-v2.2/replay/human-filter-fixed"
    assert two["protocol"] == "townhard-own/epdms-v2.2/idm-sound/human-filter-fixed"
    for summary in (one, two):
        assert summary["coverage"] == 1.0
        assert summary["interval"][0] <= summary["epdms"] <= summary["interval"][1]
        json.dumps(summary, allow_nan=False)


def test_tables_come_back_and_agree_with_the_summary(tmp_path, human):
    for evaluation in human:
        summary = summary_of(evaluation)
        write_results(evaluation, summary, tmp_path)
        rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
        assert float(rows[-1]["score"]) * 100 == pytest.approx(summary["epdms"], abs=1e-9)
        assert len(rows) == len(evaluation.split.starts) + (1 if evaluation.split.stages == 1 else 3)
        units, read = units_of(evaluation), read_units(tmp_path)
        assert read.name == units.name and read.protocol == units.protocol
        for name, value in units.value.items():
            np.testing.assert_array_equal(read.value[name], value)
    assert reference_csv(human[0]).startswith(",token,valid,no_at_fault_collisions,drivable_area_compliance,")


def test_two_agents_are_compared_on_the_same_units_or_not_at_all(human):
    other = units_of(evaluated(small_splits().one, ConstantVelocity()))
    mine = units_of(human[0])
    found = difference(mine, other)
    expected = np.nanmean(mine.value["epdms"]) - np.nanmean(other.value["epdms"])
    assert found.mean == pytest.approx(expected) and found.low <= found.mean <= found.high
    with pytest.raises(BadInput, match="protocol"):
        difference(mine, units_of(human[1]))


def test_the_worst_come_first_and_from_several_drives():
    evaluation = evaluated(small_splits().one, ConstantVelocity())
    worst = worst_of(evaluation, 4)
    assert len({int(evaluation.split.drive[n]) for n in worst[:2]}) == 2
    assert evaluation.columns[worst[0], SCORE] == evaluation.columns[:, SCORE].min()
    assert len(worst_of(evaluation, 10_000)) == len(evaluation.scored)


@pytest.mark.parametrize("traffic", TRAFFIC)
def test_traffic_goes_on_from_where_a_start_has_it(traffic):
    """Sample 0 of every drive is what the agent saw."""
    split = small_splits().two
    start = next(start for start in split.starts if start.stage == (1 if traffic == "replay" else 2))
    plan = human_plan(start)
    drive = judged(start, Plan(xy=plan.xy, yaw=plan.yaw, dt=plan.dt), around=TRAFFIC[traffic](), rules=PARITY)
    seen = {name: n for n, name in enumerate(start.tracks.id)}
    shared = [(a, seen[name]) for a, name in enumerate(drive.tracks.id) if name in seen]
    assert shared
    for a, b in shared:
        if drive.tracks.valid[a, 0] and start.tracks.valid[b, 0]:
            np.testing.assert_allclose(drive.tracks.xy[a, 0], start.tracks.xy[b, 0], atol=1e-6)


def test_every_agent_covers_every_token_of_both_splits():
    for make in AGENTS.values():
        for split in (small_splits().one, small_splits().two):
            assert evaluated(split, make()).coverage == 1.0
