"""Golden numbers of what planners are taught: targets, features, losses, learning rates, and small pieces."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simscale.dataset.features import camera_feature, lidar_feature
from simscale.dataset.targets import TARGETS, agent_targets, bev_semantic_map
from simscale.evaluate.comparison import EXACT, Comparison
from simscale.evaluate.golden_networks import close
from simscale.evaluate.golden_recipe import Recipe, arcs, photo, point_cloud
from simscale.geometry.polygons import ragged
from simscale.geometry.se2 import to_parent
from simscale.perturb.vocabulary import k_means_round
from simscale.planners.ddim import alphas_of, point_embedding, sinusoid
from simscale.planners.diffusiondrive import DiffusionDriveOutput
from simscale.planners.diffusiondrive_loss import DiffusionDriveLossConfig, diffusiondrive_loss, nearest_anchor
from simscale.planners.gtrs import GtrsOutput
from simscale.planners.gtrs_head import METRICS
from simscale.planners.gtrs_loss import GtrsLossConfig, GtrsTargets, gtrs_loss
from simscale.planners.ltf import LtfOutput
from simscale.planners.ltf_loss import LtfLossConfig, LtfTargets, ltf_loss
from simscale.render.panorama import PLANNER_CAMERAS
from simscale.scene import BadInput, CarState, RoadKind, RoadMap, TrackKind, Tracks
from simscale.train.published_schedules import PUBLISHED_SCHEDULES

Array = np.ndarray

BUILDERS = {"builders": (512, 2048), "builders_navsim": (256, 1024)}
"""Cases of features and targets, and the image size of each."""
MAP = "builders_map.json"
METRES = 1e-5
"""Tolerance of the boxes of agents, which are float32, m."""
BYTE = 1.0
"""Of a pixel."""
MEAN = 1e-6
"""Of the mean of an image in [0, 1]."""
LAYERS = {
    "LANE": RoadKind.LANE,
    "LANE_CONNECTOR": RoadKind.CONNECTOR,
    "WALKWAYS": RoadKind.WALKWAY,
    "INTERSECTION": RoadKind.INTERSECTION,
}
"""Names of the reference's map layers."""
LETTERS = ("noc", "da", "ttc", "progress", "ddc", "lk", "tl")
"""How the reference names the terms of `METRICS`."""
TIMES = (0, 10, 49)
"""Steps of the golden sinusoids."""
CLUSTERS, POOL = 20, 4000
MAX_ROUNDS = 1000
"""Of k-means, should it never settle."""
RATE = 1e-9
"""Tolerance of a learning rate, relative."""


def builder_comparisons(folder: Path, case: str, expected: Mapping[str, Array], recipe: Recipe) -> Iterator[Comparison]:
    """Features and targets of one golden moment."""
    name = recipe.prefix + case
    if "camera_strided" in expected or "camera_mean" in expected:
        images = {each: photo(f"{name}-{each.lower()}") for each in PLANNER_CAMERAS}
        rgb = camera_feature(images, BUILDERS[case], where=case)
        yield from _present(expected, "camera_strided", rgb[:, ::8, ::8], BYTE)
        yield from _present(expected, "camera_mean", (rgb / 255.0).mean(axis=(1, 2)), MEAN)
    if "lidar_hist_x5" in expected:
        yield from _present(expected, "lidar_hist_x5", lidar_feature(point_cloud(f"{name}-lidar")) * 5, EXACT)
    if "boxes" in expected:
        road, ego = _map_of(folder)
        tracks = _tracks_of(expected, ego)
        states, labels = agent_targets(tracks, ego)
        yield from _present(expected, "agent_states", states, METRES)
        yield from _present(expected, "agent_labels", labels, EXACT)
        # the reference's stand-in for a map hands out all it has, whatever the radius it is asked for
        everywhere = replace(TARGETS, map_range=np.inf)
        found = bev_semantic_map(road, tracks, ego, config=everywhere)
        yield from _present(expected, "bev_semantic_map", found, EXACT, quantity="bev_semantic_target")


def _present(
    expected: Mapping[str, Array], name: str, found: Array, tolerance: float, *, quantity: str = ""
) -> Iterator[Comparison]:
    if name in expected:
        yield Comparison(quantity=quantity or name, found=found, expected=expected[name], tolerance=tolerance)


def _map_of(folder: Path) -> tuple[RoadMap, CarState]:
    """The road map with its origin at the ego, and the ego there."""
    path = folder / MAP
    try:
        said = json.loads(path.read_bytes())
        objects, (x, y, yaw) = said["objects"], (float(number) for number in said["ego_pose"])
        origin = np.array([x, y])
        xy, start = ragged([np.array(each["polygon"], dtype=np.float64) - origin for each in objects])
        centre_xy, centre_start = ragged([np.array(each["baseline"], dtype=np.float64) - origin for each in objects])
        kind = np.array([int(LAYERS[each["layer"]]) for each in objects], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(path, "map", f"not readable ({error!r})", "ego_pose and objects") from None
    road = RoadMap(
        id=tuple(map(str, range(len(kind)))),
        kind=kind,
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.zeros(len(kind)),
        has_speed_limit=np.zeros(len(kind), dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.full(len(kind), -1),
    )
    return road, CarState.unpacked(np.array([0.0, 0.0, yaw, *np.zeros(8)]))


def _tracks_of(expected: Mapping[str, Array], ego: CarState) -> Tracks:
    """Boxes in the ego frame (x, y, z, length, width, height, heading) as tracks of one instant."""
    boxes = expected["boxes"]
    xy, yaw = to_parent(boxes[:, :2], boxes[:, 6], frame_xy=ego.xy, frame_yaw=float(ego.yaw))
    count = len(boxes)
    return Tracks(
        id=tuple(map(str, range(count))),
        kind=np.array([int(TrackKind[str(name).upper()]) for name in expected["names"]]),
        xy=xy[:, None],
        z=boxes[:, 2:3].astype(np.float64),
        yaw=yaw[:, None],
        velocity=np.zeros((count, 1, 2)),
        size=boxes[:, 3:6],
        valid=np.ones((count, 1), dtype=bool),
    )


def loss_comparisons(expected: Mapping[str, Array]) -> Iterator[Comparison]:
    """All terms of the three planners' losses."""
    held = {name: torch.from_numpy(np.asarray(value)) for name, value in expected.items()}
    found: dict[str, Tensor | float] = {}
    if "agent_gt_states" in held:
        found |= _ltf_losses(held) | _diffusiondrive_losses(held)
    if "gtrs_vocab" in held:
        found |= _gtrs_losses(held, "imi_all", None) | _gtrs_losses(held, "imi_masked", [True, False, True, False])
    for name, value in found.items():
        if name in expected:
            yield close(name, value, expected[name])
    for name in expected:
        if "loss" in name and name not in found:
            yield Comparison(quantity=name, found=np.zeros(0), expected=expected[name], tolerance=EXACT)


def _ltf_losses(held: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
    output, found = LtfOutput(**_perceived(held)), {}
    for latent, bearing in ((1, LtfLossConfig().seen_bearing), (0, None)):
        loss = ltf_loss(output, _targets(held), config=LtfLossConfig(seen_bearing=bearing))
        found[f"ltf_agent_class_loss_latent{latent}"] = loss.agent_class
        found[f"ltf_agent_box_loss_latent{latent}"] = loss.agent_box
        found[f"ltf_total_latent{latent}"] = loss.total
    return found


def _diffusiondrive_losses(held: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
    config = DiffusionDriveLossConfig()
    output = DiffusionDriveOutput(
        **_perceived(held),
        mode_poses=held["dd_poses_reg"][None],
        mode_logits=held["dd_poses_cls"][None],
        anchors=held["dd_anchors"],
        sampled=False,
    )
    loss, heads = diffusiondrive_loss(output, _targets(held), config=config), config.heads
    return {
        "dd_loss": loss.trajectory,
        "dd_mode_idx": nearest_anchor(output.anchors, held["traj_target"]),
        "dd_focal": loss.modes,
        "dd_total_loss": loss.total,
        "dd_total_trajectory_loss": config.trajectory_weight * loss.trajectory,
        "dd_total_diffusion_loss": 0.0,  # the reference has a place for it, and nothing there
        "dd_total_agent_class_loss": heads.agent_class_weight * loss.agent_class,
        "dd_total_agent_box_loss": heads.agent_box_weight * loss.agent_box,
        "dd_total_bev_semantic_loss": heads.bev_semantic_weight * loss.bev_semantic,
    }


def _gtrs_losses(held: Mapping[str, Tensor], case: str, imitate: list[bool] | None) -> dict[str, Tensor | float]:
    rows, config = held["gtrs_dropout_indices"], GtrsLossConfig(legacy_mean=True)
    samples = len(held["traj_target"])
    output = GtrsOutput(
        trajectory=held["gtrs_vocab"][:samples],
        choice=rows[:samples],
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
    loss = gtrs_loss(output, targets, config=config)
    found: dict[str, Tensor | float] = {
        f"gtrs_total_{case}": loss.total,
        f"gtrs_imi_loss_{case}": config.imitation_weight * loss.imitation,
    }
    for name, letters in zip(METRICS, LETTERS, strict=True):
        found[f"gtrs_pdm_{letters}_loss_{case}"] = getattr(config.metrics, name) * getattr(loss, name)
    return found


def _perceived(held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "trajectory": held["traj_pred"],
        "agent_states": held["agent_pred_states"],
        "agent_labels": held["agent_pred_logits"],
        "bev_semantic": held["bev_logits"],
    }


def _targets(held: Mapping[str, Tensor]) -> LtfTargets:
    return LtfTargets(
        trajectory=held["traj_target"],
        agent_states=held["agent_gt_states"],
        agent_labels=held["agent_gt_labels"],
        bev_semantic=held["bev_target"],
    )


def piece_comparisons(expected: Mapping[str, Array], recipe: Recipe) -> Iterator[Comparison]:
    """Noise levels, embeddings, and the clusters of a pool of drives."""
    found: dict[str, Tensor | Array | float] = {
        "alphas_cumprod": alphas_of(),
        "time_sinusoid": sinusoid(torch.tensor(TIMES), expected["time_sinusoid"].shape[-1])
        if "time_sinusoid" in expected
        else 0.0,
    }
    if "sine_points" in expected:
        points = torch.from_numpy(expected["sine_points"])
        found["sine_embed"] = point_embedding(points, expected["sine_embed"].shape[-1])
    if "kmeans_centers" in expected:
        found |= _clusters(f"kmeans-pool-{recipe.prefix.removesuffix('-')}")
    for name, value in found.items():
        if name in expected:
            yield close(name, value, expected[name])


def _clusters(pool: str) -> dict[str, Array | float | Tensor]:
    """K-means from the first drives of the pool until nothing moves."""
    drives = arcs(pool, POOL, 8, 0.5)[..., :2].astype(np.float64)
    flat = drives.reshape(POOL, -1)
    centres, rounds = flat[:CLUSTERS], 0
    moved, member = k_means_round(flat, centres)
    while rounds < MAX_ROUNDS and (moved != centres).any():
        centres, rounds = moved, rounds + 1
        moved, member = k_means_round(flat, centres)
    return {
        "kmeans_centers": centres.reshape(CLUSTERS, *drives.shape[1:]),
        "kmeans_inertia": float(((flat - centres[member]) ** 2).sum()),
        "kmeans_counts": np.bincount(member, minlength=CLUSTERS),
        "kmeans_iters": np.asarray(rounds),
    }


def schedule_comparisons(rates: Mapping[str, list]) -> Iterator[Comparison]:
    """Learning rates of every group of parameters, epoch by epoch."""
    for name, by_epoch in rates.items():
        expected = np.array(by_epoch, dtype=np.float64)
        schedule = PUBLISHED_SCHEDULES.get(name)
        if schedule is None:
            yield Comparison(quantity=f"rate_{name}", found=np.zeros(0), expected=expected, tolerance=EXACT)
            continue
        ours = [(schedule.image_encoder_rate(epoch), schedule.rate(epoch)) for epoch in range(len(expected))]
        found = np.array(ours)[:, [0] + [1] * (expected.shape[1] - 1)] if expected.ndim == 2 else np.array(ours)[:, 1]
        yield Comparison(quantity=f"rate_{name}", found=found, expected=expected, tolerance=0.0, relative=RATE)
