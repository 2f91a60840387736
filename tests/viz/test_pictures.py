"""Pictures: what is drawn lies where it is in the world, and nothing that occurs breaks the drawing."""

import dataclasses
import io
import time

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image

from simscale.generate.counts import Counts, ExpertCounts
from simscale.generate.sample import (
    HORIZON,
    ROLLOUT_LENGTH,
    SUB_SCORES,
    ExpertLabel,
    ReactingAgents,
    Rejection,
    Sample,
    no_agents,
    reacting_of,
    replayed,
    tracks_during,
)
from simscale.scene import CarState, Plan, Scene
from simscale.viz.bev import draw_ego
from simscale.viz.canvas import prepare, view_of
from simscale.viz.contact_sheet import sheet_of_rejections, sheet_of_samples, spread, varied
from simscale.viz.funnel import funnel
from simscale.viz.image import bytes_of, png_of
from simscale.viz.page import Picture
from simscale.viz.pictures import draw_rejection, sample_picture, scene_picture
from simscale.viz.report import Facts, report_html
from simscale.viz.style import EGO
from worlds import changed, straight_scene

NOBODY = no_agents(ROLLOUT_LENGTH)


def driven(scene: Scene, first: int, *, aside: float) -> CarState:
    """Along the human's path, drifting sideways."""
    states = scene.ego[first : first + ROLLOUT_LENGTH].packed().copy()
    states[:, 1] += np.linspace(0, aside, ROLLOUT_LENGTH)
    return CarState.unpacked(states)


def plan() -> Plan:
    return Plan(xy=np.zeros((40, 2)), yaw=np.zeros(40), dt=0.1)


def label(scene: Scene, name: str, *, accepted: bool, agents: ReactingAgents = NOBODY) -> ExpertLabel:
    return ExpertLabel(
        name=name,
        accepted=accepted,
        stage="" if accepted else "rollout",
        reason="" if accepted else "off_road",
        plan=plan(),
        ego=driven(scene, 20 + HORIZON, aside=-1.0),
        agents=agents,
        sub_scores=np.ones(len(SUB_SCORES)),
        progress_m=30.0,
    )


def sample(scene: Scene) -> Sample:
    return Sample(
        token="straight-0020-000",
        parent_token="straight-0020",
        log=scene.id,
        location="nowhere",
        round=0,
        seed=0,
        code_version="0",
        t0=20,
        vehicle=scene.vehicle,
        candidate=0,
        plan=plan(),
        ego=driven(scene, 20, aside=1.0),
        agents=NOBODY,
        deviation=np.array([0.0, 1.0, 0.0]),
        human_failed=(),
        human_moves=True,
        experts=(label(scene, "planner", accepted=True), label(scene, "recovery", accepted=False)),
    )


def rejection(*, reason: str = "collision", steps: int = 9) -> Rejection:
    path = np.stack([np.arange(steps) * 4.0 + 16.0, np.zeros(steps), np.zeros(steps)], axis=-1)
    return Rejection(
        token="straight-0020", log="straight", round=0, stage="perturb", expert="", reason=reason, t0=20, path=path
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return straight_scene(seconds=14.0, boxes=[(40.0, 0.0, 0.0, 0.0), (-20.0, 3.5, 0.0, 8.0), (90.0, 7.0, np.pi, 8.0)])


def test_up_is_the_chosen_heading():
    view = view_of(np.array([[3.0, 4.0], [3.0, 4.0]]), yaw=np.pi / 3)
    ahead = np.array([[3 + 10 * np.cos(np.pi / 3), 4 + 10 * np.sin(np.pi / 3)]])
    np.testing.assert_allclose(view.seen(ahead), [[0.0, 10.0]], atol=1e-12)


def test_a_view_holds_all_it_was_made_for():
    points = np.random.default_rng(0).normal(scale=50, size=(40, 2))
    view = view_of(points, yaw=0.7, margin=5.0)
    at = np.abs(view.seen(points))
    assert at.max() <= view.half_width - 5.0 + 1e-9


def test_the_ego_box_is_where_the_car_is(scene):
    axes = Figure().add_subplot()
    here = scene.ego[30]
    view = view_of(here.xy[None], yaw=0.0)
    prepare(axes, view)
    draw_ego(axes, view, here, scene.vehicle)
    (box,) = [c for c in axes.collections if isinstance(c, PolyCollection)]
    corners = box.get_paths()[0].vertices[:4]
    rear = scene.vehicle.length / 2 - scene.vehicle.rear_axle_to_centre
    assert corners[:, 1].min() == pytest.approx(-rear)
    assert np.ptp(corners[:, 0]) == pytest.approx(scene.vehicle.width)


def test_the_ego_is_seen_in_the_middle_of_a_scene(scene):
    pixels = np.asarray(Image.open(io.BytesIO(png_of(scene_picture(scene, instant=50)))).convert("RGB")).astype(int)
    ego = np.array([int(EGO[i : i + 2], 16) for i in (1, 3, 5)])
    red = np.argwhere(np.abs(pixels - ego).max(axis=-1) < 24)
    middle = red[red[:, 0] < 0.9 * pixels.shape[0]].mean(axis=0) / pixels.shape[:2]
    np.testing.assert_allclose(middle, [0.49, 0.5], atol=0.03)


def test_pictures_are_the_same_bytes_every_time(scene):
    assert png_of(scene_picture(scene, instant=50)) == png_of(scene_picture(scene, instant=50))
    one, two = (bytes_of(funnel(Counts(rounds=2)), kind="pdf") for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        lambda s: changed(s, tracks=s.tracks.of_agents(np.zeros(0, dtype=int))),
        lambda s: changed(s, route=np.zeros(0, dtype=np.int64)),
        lambda s: changed(
            s, tracks=dataclasses.replace(s.tracks, valid=np.zeros_like(s.tracks.valid), xy=s.tracks.xy * np.nan)
        ),
    ],
    ids=["nobody there", "no route", "nobody valid"],
)
def test_what_is_absent_is_not_drawn(scene, change):
    bare = change(scene)
    for figure in (scene_picture(bare, instant=0), sample_picture(bare, sample(bare), refused=[rejection()])):
        assert len(png_of(figure)) > 1000


@pytest.mark.parametrize("reason", ["collision", "ttc_at_end", "time_to_collision", "off_road"])
@pytest.mark.parametrize("steps", [1, 9])
def test_every_reason_can_be_drawn(scene, reason, steps):
    axes = Figure().add_subplot()
    draw_rejection(axes, scene, rejection(reason=reason, steps=steps), vehicle=scene.vehicle)
    blamed = [c for c in axes.collections if np.allclose(c.get_linewidths(), 1.4)]
    assert len(blamed) == (reason != "off_road")


def test_a_collision_is_shown_at_the_first_contact(scene):
    """The parked car's rear is at 37.75 m: the ego, front 3.939 m ahead of its axle, is there at the pose x = 36 m."""
    axes = Figure().add_subplot()
    draw_rejection(axes, scene, rejection(), vehicle=scene.vehicle)
    (ego,) = [
        c for c in axes.collections if isinstance(c, PolyCollection) and c.get_zorder() == 8 and len(c.get_facecolor())
    ]
    (blamed,) = [c for c in axes.collections if np.allclose(c.get_linewidths(), 1.4)]
    ego_y, blamed_y = (np.asarray(c.get_paths()[0].vertices)[:4, 1] for c in (ego, blamed))
    assert blamed_y.min() - ego_y.min() == pytest.approx(37.75 - (36.0 - (scene.vehicle.length / 2 - 1.461)))


def test_a_small_picture_is_quick(scene):
    samples = [sample(scene)] * 12
    png_of(sheet_of_samples(samples, lambda log: scene))
    began = time.process_time()
    png_of(sheet_of_samples(samples, lambda log: scene))
    assert (time.process_time() - began) / 12 < 0.15


def test_sheets_of_nothing_and_of_one(scene):
    for number in (0, 1, 7):
        assert png_of(sheet_of_samples([sample(scene)] * number, lambda log: scene))
        rejected = sheet_of_rejections(
            [rejection()] * number, lambda log: scene, vehicle_of=lambda scene: scene.vehicle
        )
        assert png_of(rejected)


def test_spread_keeps_both_ends():
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread(range(3), 4) == [0, 1, 2]
    assert spread(range(3), 0) == [] and spread(range(3), 1) == [0]


def test_varied_shows_every_kind_and_no_more_than_asked():
    items = ["a"] * 1000 + ["b"] * 3 + ["c"]
    chosen = varied(iter(items), 10, kind_of=lambda item: item)
    assert chosen == ["a"] * 6 + ["b"] * 3 + ["c"]
    assert len(varied(range(1000), 5, kind_of=lambda number: number)) == 5
    late = varied(range(1000), 10, kind_of=lambda number: 0)
    assert len(late) == 10 and late[0] == 0 and late[-1] > 900


def counts() -> Counts:
    return Counts(
        rounds=10,
        first_draw_passed=6,
        tries=17,
        passed=9,
        rejected={"collision": 5, "off_road": 2},
        experts={"planner": ExpertCounts(attempted=10, accepted=7, rejected={"rollout": {"<b>comfort": 2}})},
    )


def test_the_report_holds_its_pictures_and_asks_nobody():
    facts = Facts(
        counts=counts(),
        moving=counts(),
        by_log={"log & one": counts()},
        unused={"brief": "too short (5.0 s)"},
        tokens=2,
        digest="d" * 64,
        seed=3,
        version="0.1.0",
        configuration={"rounds": 5},
        failures=["unit x: <script>"],
    )
    picture = Picture(title="Funnel", caption="c", png=png_of(funnel(counts())))
    html = report_html(facts, [picture])
    assert "data:image/png;base64,iVBOR" in html
    assert "http" not in html.replace("http-equiv", "") and "<script" not in html and "<b>comfort" not in html
    for words in ("log &amp; one", "too short (5.0 s)", "7 (70.0%)", "60.0%", "d" * 64, "&quot;rounds&quot;: 5"):
        assert words in html


def test_only_agents_that_leave_their_log_are_kept_and_come_back(scene):
    logged = replayed(scene, t0=20, steps=ROLLOUT_LENGTH)
    xy, valid = logged.xy.copy(), logged.valid.copy()
    xy[1, 10:] += 1.0
    valid[2] = False
    moved = dataclasses.replace(logged, xy=xy, valid=valid)
    agents = reacting_of(moved, scene, t0=20)
    assert agents.index.tolist() == [1, 2]
    back = tracks_during(scene, agents, t0=20)
    np.testing.assert_array_equal(back.valid, moved.valid)
    np.testing.assert_array_equal(back.xy[back.valid], moved.xy[moved.valid])


def test_beyond_the_end_of_the_log_nobody_is_there(scene):
    tail = replayed(scene, t0=len(scene) - 5, steps=10)
    assert tail.valid[:, :5].all() and not tail.valid[:, 5:].any()
