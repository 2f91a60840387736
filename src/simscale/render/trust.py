"""Image trust: how much of an image was seen by somebody before, and how much a reconstruction had to make up."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What one image, or a few side by side, can be trusted with. An exact renderer gives none: nothing is made up."""

    view_distance: float  # of the nearest recorded view's place, m
    view_angle: float  # between the axes of the two, rad
    coverage: float  # share of the pixels where anything was reconstructed
    filled: float  # share of the pixels that show agents with the looks of another one
    left_out: int  # agents in view that are not drawn, or not where they are


def joined_trust(parts: Sequence[Trust], pixels: Sequence[int]) -> Trust:
    """Of several images as one: the worst view, shares of all pixels, all that are left out.

    Args:
        parts: One an image.
        pixels: How many each of them has.
    """
    assert parts and len(parts) == len(pixels), "an image without trust"
    total = sum(pixels)

    def share(name: str) -> float:
        return sum(getattr(part, name) * count for part, count in zip(parts, pixels, strict=True)) / total

    return Trust(
        view_distance=max(part.view_distance for part in parts),
        view_angle=max(part.view_angle for part in parts),
        coverage=share("coverage"),
        filled=share("filled"),
        left_out=sum(part.left_out for part in parts),
    )


def trust_summary(trusts: Sequence[Trust]) -> dict[str, float | int]:
    """Many images in a few numbers, rounded: how far from what was recorded, and how much was made up."""
    assert trusts, "no image"
    distance = sorted(trust.view_distance for trust in trusts)
    count = len(trusts)
    return {
        "images": count,
        "view_distance": round(sum(distance) / count, 3),
        "view_distance_median": round(distance[count // 2], 3),
        "view_distance_most": round(distance[-1], 3),
        "coverage": round(sum(trust.coverage for trust in trusts) / count, 4),
        "coverage_least": round(min(trust.coverage for trust in trusts), 4),
        "filled": round(sum(trust.filled for trust in trusts) / count, 4),
        "left_out": sum(trust.left_out for trust in trusts),
    }


def trust_line(summary: dict[str, float | int]) -> str:
    """The summary for people."""
    return (
        f"image trust: views {summary['view_distance']:.2f} m from the nearest recorded one on average, "
        f"{summary['view_distance_most']:.2f} m at most; {100 * summary['coverage']:.1f} % of the pixels covered, "
        f"{100 * summary['filled']:.2f} % filled in; {summary['left_out']:.0f} agents left out"
    )
