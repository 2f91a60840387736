"""How fast one core generates from real logs, and in how much memory.

    python benchmarks/generate.py ../shared/data --vocabulary ../shared/navsim/trajectory_vocabulary_8192.npy

Attempted pairs of token and round per CPU second, after compilation, beside the log replay alone: the ratio is
measured in one run and says what reactive traffic costs on any machine.
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from simscale.dataset.vocabulary import read_vocabulary
from simscale.generate.place import token_instants
from simscale.generate.settings import GenerateSettings
from simscale.generate.token import generate_token, prepare
from simscale.ingest import argoverse2, scenarionet
from simscale.scene import Scene


@dataclass(frozen=True)
class Options:
    """What to measure."""

    data: tyro.conf.Positional[Path]
    """Folder that holds Argoverse 2 sensor logs and ScenarioNet pickles at any depth."""
    vocabulary: Path | None = None
    """An .npy of trajectories; the package's own where not said."""
    rounds: int = 5


def main() -> None:
    options = tyro.cli(Options)
    scenes = scenes_in(options.data)
    vocabulary = read_vocabulary(options.vocabulary)
    settings = {name: GenerateSettings(traffic=name, rounds=options.rounds) for name in ("replay", "idm")}
    for setting in settings.values():  # compiles
        generate_token(prepare(scenes[0], setting), token_instants(scenes[0], setting)[0], vocabulary, setting)
    rate = {}
    for name, setting in settings.items():
        begun, attempted = time.process_time(), 0
        for scene in scenes:
            log = prepare(scene, setting)
            for t0 in token_instants(scene, setting):
                made = generate_token(log, t0, vocabulary, setting)
                attempted += made.moving.rounds + made.standing.rounds
        rate[name] = attempted / (time.process_time() - begun)
        print(f"{name:8s} {attempted} attempted pairs, {rate[name]:.1f} a second on one core (goal: 5)")
    print(f"reactive traffic costs {rate['replay'] / rate['idm']:.2f} x log replay")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB (goal: below 1500)")


def scenes_in(folder: Path) -> list[Scene]:
    return [
        module.scene_of(log)
        for module, place in ((argoverse2, "argoverse2/sensor_logs"), (scenarionet, "nuscenes_mini_scenarionet"))
        for log in module.logs_in(folder / place)
    ]


if __name__ == "__main__":
    main()
