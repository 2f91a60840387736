"""What the JSON halves of golden files must hold, and a sentence where they do not."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from simscale.scene import BadInput

Layer = Literal["LANE", "LANE_CONNECTOR", "INTERSECTION", "CARPARK_AREA", "ROADBLOCK", "ROADBLOCK_CONNECTOR"]
"""nuPlan's layers."""


@dataclass(frozen=True, kw_only=True)
class Polygon:
    """One element of the map."""

    id: str
    layer: Layer
    outgoing: list[str] | None = None
    roadblock: str | None = None
    speed_limit_mps: Annotated[float, Field(ge=0, lt=1e3)] | None = None


@dataclass(frozen=True, kw_only=True)
class Map:
    """The map's table."""

    polygons: Annotated[list[Polygon], Field(min_length=1)]
    baseline_ids: list[str]


@dataclass(frozen=True, kw_only=True)
class Cache:
    """What the reference's metric cache holds beside arrays."""

    route_lane_ids: list[str] | None = None
    drivable: list[tuple[str, str]] | None = None
    obs_traffic_lights: Annotated[list[list[str]], Field(min_length=41, max_length=41)] | None = None
    pdm_best: int | None = None
    pdm_target_velocities: Annotated[list[FiniteFloat], Field(min_length=1)] | None = None
    forecast_tokens: Annotated[list[list[str]], Field(min_length=1)] | None = None
    pdm_collided_track_ids: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SceneText:
    """The JSON half of a scene."""

    map: Map
    route_roadblock_ids: Annotated[list[str], Field(min_length=1)]
    log_traffic_lights: list[list[tuple[str, bool]]]
    track_tokens: list[str] | None = None
    cache: Cache | None = None


@dataclass(frozen=True, kw_only=True)
class RunText:
    """The JSON half of a run of the command line."""

    mapping: list[tuple[str, str, Annotated[list[tuple[str, str]], Field(min_length=1)]]] | None = None
    stage_one: dict[str, FiniteFloat] | None = None
    stage_two: dict[str, FiniteFloat] | None = None
    combined: dict[str, FiniteFloat] | None = None


@cache
def _adapter(form: type) -> Any:
    return TypeAdapter(form)


def check_text(path: Path, form: type) -> None:
    """Refuses a JSON file that is not of a form (`SceneText` or `RunText`); names that nobody knows are left alone.

    Raises:
        BadInput: Something is missing or of another kind.
    """
    try:
        _adapter(form).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "file"
        found = "missing" if first["type"] == "missing" else repr(first["input"])[:60]
        expected = "to be there" if first["type"] == "missing" else first["msg"].removeprefix("Input should be ")
        raise BadInput(path, field, found, expected[:1].lower() + expected[1:]) from None
