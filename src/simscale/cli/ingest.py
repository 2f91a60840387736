"""`simscale ingest`: logs become scene files, one line each."""

from importlib import import_module
from pathlib import Path

from simscale import __version__
from simscale.cli.commands import Ingest
from simscale.cli.scenes import begun_scene_folder, line_of, row_of, write_scene_manifest
from simscale.cli.speech import give, say
from simscale.dataset.files import sha256_of
from simscale.scene import BadInput
from simscale.scene.file import write_scene

MODULES = {
    "argoverse2": "simscale.ingest.argoverse2",
    "argoverse2-motion": "simscale.ingest.argoverse2_motion",
    "scenarionet": "simscale.ingest.scenarionet",
    "commonroad": "simscale.ingest.commonroad",
}
"""Where each kind is read; imported when it is asked for."""


def run(command: Ingest) -> int:
    """Ingests every log. A bad log is named and the others go on: exit 1; 2 where none is good."""
    module = import_module(MODULES[command.kind])
    logs = module.logs_in(command.src)
    folder = begun_scene_folder(command.out)
    rows, refused, written = [], [], {}
    for number, log in enumerate(logs, start=1):
        try:
            scene = module.scene_of(log)
            if scene.id in written:
                raise BadInput(log, "id", f"{scene.id}, which {written[scene.id]} has too", "an id of its own")
            path = write_scene(scene, folder)
        except BadInput as fault:
            refused.append({"log": str(log), "error": str(fault)})
            say(f"[{number}/{len(logs)}] refused: {fault}")
            continue
        written[scene.id] = log
        rows.append(row_of(scene, path) | {"sha256": sha256_of(path)})
        say(f"[{number}/{len(logs)}] {line_of(rows[-1])}")
    return _close(command, rows, refused)


def _close(command: Ingest, rows: list[dict], refused: list[dict]) -> int:
    result = {
        "command": "ingest",
        "kind": command.kind,
        "version": __version__,
        "scenes": rows,
        "refused": refused,
        "tokens": sum(row["tokens"] for row in rows),
    }
    if rows:
        write_scene_manifest(command.out, result | {"source": str(Path(command.src))})
    say(f"{len(rows)} of {len(rows) + len(refused)} logs ingested, {result['tokens']} decision points: {command.out}")
    if command.json:
        give(result)
    if not rows:
        return 2
    return 1 if refused else 0
