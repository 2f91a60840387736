"""Which asset shows a log: the one that was reconstructed from it, in one folder or among several."""

import json
from functools import lru_cache
from pathlib import Path

from simscale.scene import BadInput
from simscale.splats.files_asset import DESCRIPTION
from simscale.splats.renderer import SplatRenderer
from simscale.splats.street_file import read_street

KEPT = 2
"""Streets that are kept in memory; one of 200,000 Gaussians takes some 50 MB."""
SAID = 3
"""Names of other streets that an error repeats."""


def asset_for(assets: Path, log: str) -> Path:
    """The description of the asset that was reconstructed from a log.

    Args:
        assets: An asset, or a folder of assets.
        log: Id of the scene.

    Raises:
        BadInput: There is no asset, or only those of other streets.
    """
    found = {}
    for path in (assets / log / DESCRIPTION, assets / DESCRIPTION, *sorted(assets.glob(f"*/{DESCRIPTION}"))):
        if path.is_file():
            name = _street_in(path)
            if name == log:
                return path
            found[path] = name
    if not found:
        raise BadInput(assets, "assets", "none", "what simscale reconstruct writes, or a folder of such")
    others = sorted(set(found.values()))
    named = ", ".join(others[:SAID]) + (f" and {len(others) - SAID} more" if len(others) > SAID else "")
    raise BadInput(assets, "assets", f"of other streets ({named})", f"one that was reconstructed from {log}")


@lru_cache(maxsize=KEPT)
def street_renderer(folder: Path, stamp: int) -> SplatRenderer:
    """The renderer of an asset; the last few are kept.

    Args:
        folder: Of the asset.
        stamp: Changes when the asset does.

    Raises:
        BadInput: It is damaged.
    """
    street, _ = read_street(folder)
    return SplatRenderer(street)


def _street_in(path: Path) -> str:
    """Name of the street that an asset describes.

    Raises:
        BadInput: It is no description.
    """
    try:
        text = json.loads(path.read_bytes())
        return str(text["description"]["name"])
    except (ValueError, RecursionError, KeyError, TypeError):
        raise BadInput(path, "content", "no description of a street", "what simscale reconstruct writes") from None
