"""What the commands that write scene files share: a line for people, a row for programs, the manifest."""

import json
from pathlib import Path
from typing import Any

from simscale.dataset.files import write_whole
from simscale.generate.place import token_instants
from simscale.generate.settings import GenerateSettings
from simscale.scene import BadInput, RoadKind, Scene

MANIFEST = "manifest.json"
WRITERS = ("town", "ingest")
"""Commands that fill a folder of scenes."""


def row_of(scene: Scene, path: Path) -> dict[str, Any]:
    """A scene in numbers."""
    return {
        "id": scene.id,
        "file": path.name,
        "seconds": round((len(scene) - 1) * scene.dt, 1),
        "tracks": len(scene.tracks.id),
        "lanes": len(scene.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)),
        "images": len(scene.images.path),
        "sweeps": len(scene.sweeps.path),
        "tokens": len(token_instants(scene, GenerateSettings())) if len(scene.road) else 0,
        "missing": list(scene.missing),
    }


def line_of(row: dict[str, Any]) -> str:
    """A scene in one line."""
    counted = (("track", "tracks"), ("lane", "lanes"), ("decision point", "tokens"), ("image", "images"))
    counts = [f"{row[key]} {noun}{'' if row[key] == 1 else 's'}" for noun, key in counted]
    without = f"; without {', '.join(row['missing'])}" if row["missing"] else ""
    return f"{row['id']}: {row['seconds']:.1f} s, {', '.join(counts)}{without}"


def begun_scene_folder(folder: Path) -> Path:
    """A folder to write scenes into; it has no manifest until the last scene is in it.

    Raises:
        BadInput: It holds something else, such as a dataset.
        OSError: It cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if manifest.exists():
        try:
            command = json.loads(manifest.read_bytes())["command"]
        except (ValueError, KeyError, TypeError):
            command = "something else"
        if command not in WRITERS:
            raise BadInput(manifest, "content", f"of {command}", f"a manifest of {' or '.join(WRITERS)}, or no file")
        manifest.unlink()
    return folder


def write_scene_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Writes `manifest.json` into a folder of scenes; last, so that a folder that has it is complete."""
    write_whole(folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
