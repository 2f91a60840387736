"""`simscale town`: drives through a made-up world, as scene files."""

from dataclasses import replace

from simscale import __version__
from simscale.cli.commands import Town
from simscale.cli.scenes import begun_scene_folder, line_of, row_of, write_scene_manifest
from simscale.cli.speech import give, say
from simscale.dataset.files import sha256_of
from simscale.scene import BadInput
from simscale.scene.file import write_scene
from simscale.town import TownSettings, town_scenes


def run(command: Town) -> int:
    """Writes the drives of one town."""
    for option, found, least in (("--drives", command.drives, 1), ("--seed", command.seed, 0)):
        if found < least:
            raise BadInput("command line", option, found, f"{least} or more")
    folder = begun_scene_folder(command.out)
    rows = []
    for scene in town_scenes(command.seed, settings=replace(TownSettings(), drives=command.drives)):
        path = write_scene(scene, folder)
        rows.append(row_of(scene, path) | {"sha256": sha256_of(path)})
        say(f"[{len(rows)}/{command.drives}] {line_of(rows[-1])}")
    result = {"command": "town", "seed": command.seed, "version": __version__, "scenes": rows}
    write_scene_manifest(command.out, result)
    say(f"{len(rows)} drives: {command.out}")
    if command.json:
        give(result)
    return 0
