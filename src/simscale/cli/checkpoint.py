"""`simscale checkpoint convert` and `simscale checkpoint info`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from simscale.cli.commands import Checkpoint
from simscale.cli.speech import give, say
from simscale.planners.checkpoint import (
    STITCHED_CAMERAS,
    CheckpointInfo,
    has_header,
    outline,
    read_info,
    read_state,
    vocabulary_digest,
    write_weights,
)
from simscale.planners.published import (
    Published,
    chosen_config,
    image_size_of,
    info_of,
    matching_presets,
    planner_of,
    read_weights,
    write_published,
)
from simscale.planners.registry import PLANNERS
from simscale.scene import BadInput

VOCABULARIES = {
    "e8c29cfc25add59ae8b64769a4554c6518878726178c0bd889fc8518ebe1261d": "16384.npy of GTRS",
    "cc44a31e75a53406db59f026f0358de97931e726f10254542f98d2a87a38ad35": "8192.npy of GTRS",
}
"""Published vocabularies by their digest (planners.md, section 7.4)."""


def run(command: Checkpoint) -> int:
    """Ours of a published checkpoint, the published form of ours, or what there is to say of either."""
    if command.action == "info":
        return _info(command)
    out = command.out or command.to
    if out is None or (command.out is not None and command.to is not None):
        raise BadInput("command line", "--out", "said twice" if out else "absent", "one file to write")
    said = _to_published(command.src, out) if has_header(command.src) else _to_ours(command, out)
    say(f"{out}: {said['planner']} {said['preset']}".rstrip())
    if command.json:
        give(said)
    return 0


def _to_ours(command: Checkpoint, out: Path) -> dict[str, Any]:
    published = read_weights(command.src)
    info = info_of(published, preset=command.preset, resolution=command.resolution)
    write_weights(_folder_made(out), published.state, info)
    return _told(read_info(out), form="simscale")


def _to_published(src: Path, out: Path) -> dict[str, Any]:
    info = read_info(src)
    write_published(_folder_made(out), read_state(src), info)
    return _told(info, form="published")


def _folder_made(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _info(command: Checkpoint) -> int:
    if has_header(command.src):
        told = _told(read_info(command.src), form="simscale")
    else:
        told = _told_of_published(read_weights(command.src), command)
    if command.json:
        give(told)
    else:
        print("\n".join(_lines(told)))
    return 0


def _told(info: CheckpointInfo, *, form: str) -> dict[str, Any]:
    """What a checkpoint of ours says of itself."""
    return {
        "form": form,
        "planner": info.planner,
        "preset": info.preset,
        "presets": [info.preset] if info.preset else [],
        **_sizes(info.planner, info.config),
        "resolution": list(image_size_of(info.config)),
        "cameras": list(info.cameras),
        "vocabulary": _vocabulary(info.planner, info.config, info.vocabulary),
        "training": info.training,
        "origin": None if info.origin is None else asdict(info.origin),
    }


def _told_of_published(published: Published, command: Checkpoint) -> dict[str, Any]:
    """What can be known of a published one; what cannot is null."""
    planner = planner_of(published)
    fits = matching_presets(published, planner)
    config = next(iter(fits.values()))
    try:
        preset, config = chosen_config(published, planner, preset=command.preset, resolution=command.resolution)
        resolution = list(image_size_of(config))
    except BadInput:
        if command.preset is not None or command.resolution is not None:
            raise
        preset, resolution = "", None
    held = PLANNERS[planner].vocabulary
    return {
        "form": "published",
        "planner": planner,
        "preset": preset,
        "presets": list(fits),
        **_sizes(planner, config),
        "resolution": resolution,
        "cameras": list(STITCHED_CAMERAS),
        "vocabulary": _vocabulary(planner, config, vocabulary_digest(published.state[held]) if held else ""),
        "training": {"published": published.name} if published.name else {},
        "origin": asdict(published.origin),
    }


def _sizes(planner: str, config: Any) -> dict[str, int]:
    model = outline(PLANNERS[planner], config)
    return {"weights": len(model.state_dict()), "parameters": sum(weight.numel() for weight in model.parameters())}


def _vocabulary(planner: str, config: Any, digest: str) -> dict[str, Any] | None:
    """The planner's fixed trajectories: how many, and which, as far as we know them."""
    held = PLANNERS[planner].vocabulary
    if not held:
        return None
    count, poses, numbers = outline(PLANNERS[planner], config).state_dict()[held].shape
    name = VOCABULARIES.get(digest, "")
    return {"entries": count, "poses": poses, "numbers": numbers, "sha256": digest, "name": name}


def _lines(told: dict[str, Any]) -> list[str]:
    presets = " or ".join(told["presets"]) or "another configuration"
    size = told["resolution"]
    lines = [
        f"{told['planner']} {presets}, {told['form']}",
        f"{told['parameters'] / 1e6:.1f} million parameters in {told['weights']} weights",
        f"reads {size[0]} x {size[1]} pixels" if size else "reads images of a size that the weights do not tell",
        f"cameras {', '.join(told['cameras'])}",
    ]
    vocabulary, origin = told["vocabulary"], told["origin"]
    if vocabulary is not None:
        named = f" ({vocabulary['name']})" if vocabulary["name"] else ""
        lines.append(f"{vocabulary['entries']} trajectories, sha256 {vocabulary['sha256'][:16]}{named}")
    if origin is not None:
        lines.append(f"from {origin['file']}, sha256 {origin['sha256'][:16]}, prefix {origin['prefix'] or '(none)'}")
    return lines + [
        f"{name}: {value}" for name, value in told["training"].items() if not isinstance(value, dict | list)
    ]
