"""A reconstruction of a recorded town against the truth: beside the drive, and with agents where they never were.

    simscale town --seed 3 --size 300 --drives 1 --record --out out/town
    simscale reconstruct out/town/town-3-0.scene.npz --out out/street --budget-minutes 4
    python benchmarks/streets.py out/town/town-3-0.scene.npz out/street

At the held-out instants: PSNR on the drive and 1, 2 and 3 m beside it (both sides), what that loses, and for agents
that move, 2 m aside (both sides), the overlap (IoU) of drawn and true masks, by kind.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from simscale.dataset.renderers import raycast
from simscale.dataset.truth import Reposed, held_out_instants, reposed, shifted_psnr
from simscale.scene import TrackKind
from simscale.scene.file import read_scene
from simscale.splats.capture_source import capture_of
from simscale.splats.renderer import SplatRenderer
from simscale.splats.street_file import read_street

ASIDE = 2.0
"""How far agents are moved, m."""


@dataclass(frozen=True)
class Options:
    """What is compared."""

    scene: tyro.conf.Positional[Path]
    """A scene of the town with photographs."""
    asset: tyro.conf.Positional[Path]
    """Its reconstruction."""
    hold_out_every: int = 8
    """As the reconstruction was told."""
    every: int = 2
    """Of the held-out instants."""


def main() -> None:
    options = tyro.cli(Options)
    scene, (street, made) = read_scene(options.scene), read_street(options.asset)
    truth = raycast(scene, options.scene.parent, rays=2)
    frames = capture_of(options.scene, hold_out_every=options.hold_out_every).frames
    instants = held_out_instants(scene, frames.timestamp_us[frames.held_out])[:: options.every]
    mine = SplatRenderer(street, rays=1)
    psnr = {
        shift: float(np.mean([shifted_psnr(scene, truth, mine, instants, left=side * shift) for side in (1, -1)]))
        for shift in (0.0, 1.0, 2.0, 3.0)
    }
    moved = [one for side in (1, -1) for one in reposed(scene, truth, mine, instants, aside=side * ASIDE)]
    result = {
        "heldout": made.get("heldout"),
        "instants": len(instants),
        "psnr": {f"{shift:g} m": round(found, 2) for shift, found in psnr.items()},
        "lost": {f"{shift:g} m": round(psnr[0.0] - found, 2) for shift, found in psnr.items() if shift},
        "iou": {kind.name.lower(): overlaps(moved, kind) for kind in TrackKind if overlaps(moved, kind)},
    }
    print(json.dumps(result, indent=1))


def overlaps(moved: list[Reposed], kind: TrackKind) -> dict[str, float] | None:
    own = [one for one in moved if one.kind == kind]
    if not own:
        return None
    iou = np.array([one.iou for one in own])
    return {
        "agents": len({one.track for one in own}),
        "views": len(own),
        "mean": round(float(iou.mean()), 3),
        "worst": round(float(iou.min()), 3),
    }


if __name__ == "__main__":
    main()
