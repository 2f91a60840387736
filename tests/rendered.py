"""Small rendered datasets: some made of plain colours for the tests of training, some ray-cast in the smallest town."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simscale.dataset.command import Command
from simscale.dataset.example import Targets
from simscale.dataset.files import put_in_place, sha256_of
from simscale.dataset.manifest import commit_manifest, entries_of
from simscale.dataset.moment import Moment
from simscale.dataset.rendered import Rendered, rendered_digest, write_rendered
from simscale.dataset.sensors import SENSORS, Sensors, _encoded
from simscale.dataset.shards import digest_of, write_unit
from simscale.generate.sample import HORIZON, ExpertLabel, Sample, no_agents
from simscale.scene import PACIFICA, CarState, Plan, Scene
from simscale.scene.file import read_scene, scene_files, write_scene
from simscale.town import TownSettings, town_of
from simscale.town.drive import scenes_of
from simscale.town.furnish import scenery_of
from simscale.town.scenery_file import write_scenery
from worlds import tracks_of

SMALL = dataclasses.replace(SENSORS["ltf"], size=(16, 64), rays=1)
TINY_TOWN = TownSettings(size=240.0, drives=1, duration=11.0)


def plain_folder(
    folder: Path,
    *,
    count: int = 12,
    is_sim: bool = False,
    street: str = "town-1",
    sensors: Sensors = SENSORS["ltf"],
    speed_of: Callable[[int], float] = lambda i: float(i % 10),
    command_of: Callable[[int], Command] = lambda i: Command(i % 3),
    seed: int = 0,
) -> Path:
    """A rendered dataset whose images are plain colours, and whose plans go straight on at the present speed."""
    rng = np.random.default_rng(seed)
    made = [_plain(i, rng, is_sim, street, sensors, speed_of(i), command_of(i)) for i in range(count)]
    files = write_rendered(folder / "tmp", "0123456789abcdef", made)
    for file in files:
        put_in_place(file, folder)
    commit_manifest(
        folder,
        files=entries_of(files),
        digest=rendered_digest(folder),
        configuration={"stage": "render", "sensors": dataclasses.asdict(sensors)},
        seed=0,
        code_version="test",
        inputs=({"log": street, "street": street},),
        counts={},
    )
    return folder


def _plain(
    i: int, rng: np.random.Generator, is_sim: bool, street: str, sensors: Sensors, speed: float, command: Command
) -> Rendered:
    status = np.zeros(8, dtype=np.float32)
    status[command], status[4] = 1.0, speed
    token = f"{street}-{'sim' if is_sim else 'log'}-{i:04d}"
    moment = Moment(
        token=token,
        image=token,
        log=street,
        instant=20,
        expert="planner" if is_sim else "human",
        round=i % 2 if is_sim else 0,
        is_sim=is_sim,
        state=CarState.unpacked(np.zeros(11)),
        tracks=tracks_of([], 1),
        trajectory=np.outer(np.arange(1, 9), [0.5 * speed, 0, 0]).astype(np.float32),
        status=status,
    )
    targets = Targets(
        agent_states=np.zeros((30, 5), dtype=np.float32),
        agent_labels=np.zeros(30, dtype=bool),
        bev_semantic=rng.integers(0, 7, (128, 256)).astype(np.uint8),
    )
    colour = np.broadcast_to(rng.integers(0, 255, 3).astype(np.uint8), (*sensors.size, 3))
    return Rendered(moments=(moment,), targets=targets, images=(_encoded("view", colour, sensors.quality),))


def tiny_town(folder: Path, *, seed: int = 1) -> Path:
    """Scenes of one short drive, and their scenery."""
    folder.mkdir(parents=True)
    town = town_of(seed, settings=TINY_TOWN)
    write_scenery(scenery_of(town), folder)
    for scene in scenes_of(town, settings=TINY_TOWN):
        write_scene(scene, folder)
    return folder


def tiny_samples(folder: Path, scenes: Path, *, count: int = 5) -> Path:
    """A dataset of generate whose perturbed states stand half a metre beside the log; two experts drive the log on."""
    (path,) = scene_files(scenes)
    scene = read_scene(path)
    samples = [_beside(scene, 20 + 2 * i, seed=i) for i in range(count)]
    files = write_unit(folder / "tmp", "0123456789abcdef", samples, []).files
    for file in files:
        put_in_place(file, folder)
    commit_manifest(
        folder,
        files=entries_of(files),
        digest=digest_of(folder),
        configuration={"ego": "auto"},
        seed=0,
        code_version="test",
        inputs=({"log": scene.id, "sha256": sha256_of(path), "path": str(path)},),
        counts={},
    )
    return folder


def _beside(scene: Scene, t0: int, *, seed: int) -> Sample:
    parent = f"{scene.id}-t{t0:04d}"

    def driven(first: int, aside: float) -> CarState:
        states = scene.ego[np.minimum(np.arange(first, first + 50), len(scene) - 1)].packed().copy()
        states[:, :2] += aside * np.stack([-np.sin(states[:, 2]), np.cos(states[:, 2])], -1)
        return CarState.unpacked(states)

    plan = Plan(xy=np.zeros((40, 2)), yaw=np.zeros(40), dt=0.1)
    labels = tuple(
        ExpertLabel(
            name=name,
            accepted=accepted,
            stage="" if accepted else "rollout",
            reason="" if accepted else "collision",
            plan=plan,
            ego=driven(t0 + HORIZON, 0.5),
            agents=no_agents(50),
            sub_scores=np.ones(9),
            progress_m=1.0,
        )
        for name, accepted in (("planner", True), ("recovery", seed % 2 == 0))
    )
    return Sample(
        token=f"{parent}-000",
        parent_token=parent,
        log=scene.id,
        location=scene.location,
        round=0,
        seed=0,
        code_version="test",
        t0=t0,
        vehicle=PACIFICA,
        candidate=0,
        plan=plan,
        ego=driven(t0, 0.5),
        agents=no_agents(50),
        deviation=np.zeros(3),
        human_failed=(),
        human_moves=True,
        experts=labels,
    )
