"""PDM-Closed against the golden numbers: its forecast, its proposals, how it likes them, and what it drives."""

from collections.abc import Iterator

import numpy as np
import shapely
from jaxtyping import Float

from simscale.evaluate.comparison import EXACT, Comparison, of_names, of_states
from simscale.evaluate.golden_inputs import METRES
from simscale.evaluate.golden_scores import MULTIPLIED, WEIGHTED
from simscale.evaluate.navsim_start import NavsimStart
from simscale.experts.forecast import ego_polygon, forecast_of, touches_ego
from simscale.experts.pdm_closed import RankedProposals
from simscale.experts.rules import PARITY
from simscale.geometry.boxes import corners_of
from simscale.geometry.se2 import to_parent
from simscale.ingest.golden import GoldenScene
from simscale.scoring.areas import ego_areas
from simscale.scoring.boxes import ego_boxes

Array = np.ndarray

OUTPUT = 51
"""Samples of what the planner drives: 5 s, of which 4 are scored."""
FORECASTS = {"forecast0": 0, "forecast10": 20, "forecast25": 50}
"""Samples at which forecasts are kept."""


def planner_comparisons(golden: GoldenScene, start: NavsimStart, planned: RankedProposals) -> Iterator[Comparison]:
    """Everything that the planner makes of a start."""
    z, rollouts, scores = golden.npz, planned.rollouts, planned.scores
    yield from _forecast(golden, start)
    yield from _poses(golden, start, planned)
    if "pdm_prop_sim" in z:
        expected = golden.local(z["pdm_prop_sim"])
        yield of_states("pdm_prop_sim", rollouts.packed(), expected, tolerance=METRES)
    if "pdm_prop_areas" in z:
        car = ego_boxes(rollouts, vehicle=start.vehicle, origin_xy=start.around.origin_xy)
        areas = ego_areas(car, start.around)
        flags = np.stack([areas.multiple_lanes, areas.non_drivable, areas.oncoming], axis=-1)
        yield Comparison(quantity="pdm_prop_areas", found=flags, expected=z["pdm_prop_areas"], tolerance=EXACT)
    multiplied = np.stack([getattr(scores, name) for name in MULTIPLIED])
    weighted = np.stack([getattr(scores, name) for name in WEIGHTED])
    ours = {
        "pdm_prop_multi": (multiplied, EXACT),
        "pdm_prop_progress": (scores.progress_m, METRES),
        "pdm_prop_scores": (scores.total, METRES),
    }
    for name, (found, tolerance) in ours.items():
        if name in z:
            yield Comparison(quantity=name, found=found, expected=z[name], tolerance=tolerance)
    if "pdm_prop_weighted" in z:
        expected = z["pdm_prop_weighted"][: len(WEIGHTED)]
        yield Comparison(quantity="pdm_prop_weighted", found=weighted, expected=expected, tolerance=METRES)
    if "pdm_best" in golden.cache:
        expected = np.array([golden.cache["pdm_best"]])
        yield Comparison(quantity="pdm_best", found=planned.order[:1], expected=expected, tolerance=EXACT)


def _poses(golden: GoldenScene, start: NavsimStart, planned: RankedProposals) -> Iterator[Comparison]:
    """Proposals as planned, and the chosen one to its end."""
    z = golden.npz
    if "pdm_prop_states" in z:
        xy, yaw = _as_planned(start, planned)
        poses = np.concatenate([xy, yaw[..., None]], axis=-1)
        expected = golden.local(z["pdm_prop_states"])[:, : poses.shape[1]]
        yield of_states("pdm_prop_states", poses, expected, tolerance=METRES)
    if planned.unrolled is not None:
        along = np.stack([planned.unrolled.station, planned.unrolled.speed], axis=-1)
        for name, found in (("pdm_prop_idm", along), ("pdm_prop_lead", planned.unrolled.lead)):
            if name in z:
                expected = z[name][:, : found.shape[1]]
                yield Comparison(quantity=name, found=found, expected=expected, tolerance=METRES)
    if "pdm_traj_states" in z:
        states = np.zeros((OUTPUT, 11))
        states[:, :3] = planned.drive
        yield of_states("pdm_traj_states", states, golden.local(z["pdm_traj_states"]), tolerance=METRES)


def _forecast(golden: GoldenScene, start: NavsimStart) -> Iterator[Comparison]:
    z, cache = golden.npz, golden.cache if golden.has_track_names else {}
    forecast = forecast_of(start.current, start.ego, vehicle=start.vehicle, samples=OUTPUT, rules=PARITY)
    if "forecast_tokens" in cache:
        objects = [name for name in cache["forecast_tokens"][0] if not name.startswith("red_light")]
        yield of_names("forecast_tokens", forecast.id, objects)
    if "pdm_collided_track_ids" in cache:
        touching = np.flatnonzero(touches_ego(forecast, start.ego, vehicle=start.vehicle))
        objects = [name for name in cache["pdm_collided_track_ids"] if not name.startswith("red_light")]
        yield of_names("pdm_collided_track_ids", [forecast.id[a] for a in touching], objects)
    for name, sample in FORECASTS.items():
        if f"{name}_xy" in z and len(z[f"{name}_start"]) > len(forecast.id):
            corners = corners_of(
                forecast.xy[:, sample], forecast.yaw[:, sample], forecast.size[:, 0], forecast.size[:, 1]
            )
            first = z[f"{name}_start"][: len(forecast.id)]  # red lanes stand behind the objects
            expected = golden.local(z[f"{name}_xy"])[first[:, None] + np.arange(4)]
            yield Comparison(quantity=name, found=corners, expected=expected, tolerance=METRES)


def _as_planned(start: NavsimStart, planned: RankedProposals) -> tuple[Float[Array, "p t 2"], Float[Array, "p t"]]:
    """Poses of all proposals in the world frame, the first of which stand beside the car."""
    plans = planned.plans
    flat = (plans.xy.reshape(-1, 2), plans.yaw.reshape(-1))
    xy, yaw = to_parent(*flat, frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    return (
        np.concatenate([planned.start_xy[:, None], xy.reshape(plans.xy.shape)], axis=1),
        np.concatenate([planned.start_yaw[:, None], yaw.reshape(plans.yaw.shape)], axis=1),
    )


def overlaps_several(start: NavsimStart, planned: RankedProposals) -> bool:
    """Whether a proposal, as planned, ever touches two objects at once: which of them leads is then a tie."""
    forecast = forecast_of(start.current, start.ego, vehicle=start.vehicle, samples=OUTPUT, rules=PARITY)
    xy, yaw = _as_planned(start, planned)
    samples = yaw.shape[1]
    length, width = (np.repeat(forecast.size[:, axis, None], OUTPUT, axis=1) for axis in (0, 1))
    box = np.asarray(shapely.polygons(corners_of(forecast.xy, forecast.yaw, length, width)), dtype=object)
    car = np.asarray(ego_polygon(xy, yaw, vehicle=start.vehicle), dtype=object)
    touching = shapely.intersects(car[:, None], box[None, :, :samples])
    return bool((touching.sum(axis=1) > 1).any())
