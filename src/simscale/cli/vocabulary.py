"""`simscale vocabulary build`: K-means over what people did in the next four seconds."""

import hashlib

import numpy as np

from simscale.cli.commands import Vocabulary
from simscale.cli.speech import give, say
from simscale.dataset.vocabulary import write_vocabulary
from simscale.perturb.vocabulary import agent_futures, build_vocabulary, forward_only, human_futures
from simscale.scene import BadInput
from simscale.scene.file import read_scene, scene_files
from simscale.scene.seeds import generator_of


def run(command: Vocabulary) -> int:
    """Writes the file."""
    if command.seed < 0:
        raise BadInput("command line", "--seed", command.seed, "0 or more")
    files = [path for folder in command.scenes for path in scene_files(folder)]
    if not files:
        raise BadInput("command line", "SCENES", "empty", "at least one folder of scenes")
    futures = []
    for path in files:
        scene = read_scene(path)
        futures += [human_futures(scene)] + ([agent_futures(scene, every=5)] if command.agents else [])
    driven = np.concatenate(futures)
    driven = driven[forward_only(driven)]
    different = len(np.unique(driven, axis=0))
    if not 0 < command.size <= different:
        raise BadInput("command line", "--size", command.size, f"1 to {different}, the number of different futures")
    poses = build_vocabulary(driven, size=command.size, generator=generator_of(command.seed, "vocabulary"))
    write_vocabulary(poses, command.out)
    say(f"{len(poses)} trajectories from {len(driven)} futures in {len(files)} scenes: {command.out}")
    if command.json:
        sha256 = hashlib.sha256(command.out.read_bytes()).hexdigest()
        give({"size": len(poses), "futures": len(driven), "seed": command.seed, "sha256": sha256})
    return 0
