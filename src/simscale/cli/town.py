"""`simscale town`: drives through a made-up world as scene files, and beside them what its cameras would see."""

import time
from dataclasses import asdict, replace
from pathlib import Path

from simscale import __version__
from simscale.cli.commands import Town
from simscale.cli.scenes import begun_scene_folder, line_of, row_of, write_scene_manifest
from simscale.cli.speech import give, say
from simscale.dataset.files import sha256_of
from simscale.dataset.recording import RecordingSettings, record, recorded_instants
from simscale.dataset.renderers import raycast
from simscale.engine.progress import progress
from simscale.scene import BadInput, Scene
from simscale.scene.file import write_scene
from simscale.town import TownSettings, town_of
from simscale.town.drive import scenes_of
from simscale.town.furnish import scenery_of
from simscale.town.scenery_file import write_scenery


def run(command: Town) -> int:
    """Writes the drives of one town."""
    for option, found, least in (("--drives", command.drives, 1), ("--seed", command.seed, 0)):
        if found < least:
            raise BadInput("command line", option, found, f"{least} or more")
    began = time.perf_counter()
    settings = replace(TownSettings(), size=command.size, drives=command.drives).checked()
    folder = begun_scene_folder(command.out)
    town = town_of(command.seed, settings=settings)
    scenery = write_scenery(scenery_of(town), folder)
    rows = []
    for driven in scenes_of(town, settings=settings):
        scene = _recorded(driven, folder) if command.record else driven
        path = write_scene(scene, folder)
        rows.append(row_of(scene, path) | {"sha256": sha256_of(path)})
        say(f"[{len(rows)}/{command.drives}] {line_of(rows[-1])}")
    result = {
        "command": "town",
        "seed": command.seed,
        "size": command.size,
        "version": __version__,
        "sceneries": [{"location": town.location, "file": scenery.name, "sha256": sha256_of(scenery)}],
        "scenes": rows,
        "recorded": asdict(RecordingSettings()) if command.record else None,
    }
    write_scene_manifest(command.out, result)
    seconds = time.perf_counter() - began
    say(f"{len(rows)} drives through a town of {command.size:g} m in {seconds:.1f} s: {command.out}")
    if command.json:
        give(result)
    return 0


def _recorded(scene: Scene, folder: Path) -> Scene:
    settings = RecordingSettings()
    caster = raycast(scene, folder, rays=settings.rays)
    with progress(f"record {scene.id}", total=recorded_instants(scene, settings), noun="instants") as advance:
        return record(scene, folder, caster, settings=settings, on_instant=lambda: advance(1))
