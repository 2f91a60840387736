from simscale.generate.counts import Counts, ExpertCounts, total

ONE = Counts(
    rounds=2,
    first_draw_passed=1,
    tries=5,
    passed=2,
    no_cell_left=1,
    rejected={"collision": 2, "off_road": 1},
    experts={"planner": ExpertCounts(attempted=2, accepted=1, rejected={"rollout": {"comfort": 1}})},
)
OTHER = Counts(
    rounds=1,
    tries=8,
    rejected={"off_road": 8},
    experts={"planner": ExpertCounts(attempted=1, rejected={"perturb": {"off_road": 1}})},
)


def test_counts_add_up():
    pooled = total([ONE, OTHER])
    assert (pooled.rounds, pooled.tries, pooled.passed, pooled.no_cell_left) == (3, 13, 2, 1)
    assert pooled.rejected == {"off_road": 9, "collision": 2}
    assert list(pooled.rejected) == ["off_road", "collision"]
    planner = pooled.experts["planner"]
    assert (planner.attempted, planner.accepted) == (3, 1)
    assert planner.rejected == {"perturb": {"off_road": 1}, "rollout": {"comfort": 1}}


def test_order_does_not_matter():
    assert total([ONE, OTHER]) == total([OTHER, ONE])
    assert total([ONE]) == ONE


def test_counts_survive_json():
    pooled = total([ONE, OTHER])
    assert Counts.from_json(pooled.as_json()) == pooled
