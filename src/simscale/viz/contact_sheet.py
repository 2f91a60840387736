"""Contact sheets: many small pictures at a glance, chosen to show everything that occurs."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simscale.generate.sample import Rejection, Sample
from simscale.scene import EgoVehicle, Scene
from simscale.viz.pictures import draw_answers, draw_rejection
from simscale.viz.style import EGO, FAINT, HUMAN, INK, PERTURBED, expert_colour

Item = TypeVar("Item")

COLUMNS = 6
CELL_INCHES = 2.5
TITLE_INCHES = 0.34
DPI = 110


def sheet_of_samples(samples: Sequence[Sample], scene_of: Callable[[str], Scene]) -> Figure:
    """What the experts do from each perturbed state.

    Args:
        samples: What to draw.
        scene_of: The scene of a log's id.
    """

    def draw(axes: Axes, sample: Sample) -> str:
        draw_answers(axes, scene_of(sample.log), sample, names=False)
        verdicts = [f"{label.name} {'ok' if label.accepted else label.reason}" for label in sample.experts]
        return f"{_short(sample.log)}{sample.token[len(sample.log) :]}\n{', '.join(verdicts)}"

    return _sheet(samples, draw)


def sheet_of_rejections(
    rejections: Sequence[Rejection], scene_of: Callable[[str], Scene], *, vehicle_of: Callable[[Scene], EgoVehicle]
) -> Figure:
    """What was refused, and why.

    Args:
        rejections: What to draw.
        scene_of: The scene of a log's id.
        vehicle_of: The ego's box that was driven in a scene.
    """

    def draw(axes: Axes, rejection: Rejection) -> str:
        scene = scene_of(rejection.log)
        draw_rejection(axes, scene, rejection, vehicle=vehicle_of(scene))
        who = rejection.expert or rejection.stage
        name = f"{_short(rejection.log)}{rejection.token[len(rejection.log) :]}"
        return f"{name} round {rejection.round}\n{who}: {rejection.reason}"

    return _sheet(rejections, draw)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items at even distances, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    if count < 2:
        return list(items[:count])
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def varied(items: Iterable[Item], count: int, *, kind_of: Callable[[Item], Hashable]) -> list[Item]:
    """At most `count` items that show as many kinds as there are, in turn; sorted by kind.

    Args:
        items: Read once, and thinned out evenly on the way: at most twice `count` of each kind are held.
        count: How many to choose.
        kind_of: The kind of an item.
    """
    kinds: dict[Hashable, list[Item]] = {}
    seen: dict[Hashable, int] = {}
    stride: dict[Hashable, int] = {}
    for item in items:
        kind = kind_of(item)
        kept, number = kinds.setdefault(kind, []), seen.get(kind, 0)
        seen[kind] = number + 1
        if number % stride.setdefault(kind, 1) == 0:
            kept.append(item)
        if len(kept) > 2 * count:
            del kept[1::2]
            stride[kind] *= 2
    shares = _shares([len(kinds[kind]) for kind in sorted(kinds, key=str)], count)
    chosen = zip(sorted(kinds, key=str), shares, strict=True)
    return [item for kind, share in chosen for item in spread(kinds[kind], share)]


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """Deals `count` places out, one a kind in turn, until they or the items are used up."""
    shares = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        for kind, size in enumerate(sizes):
            if left and shares[kind] < size:
                shares[kind] += 1
                left -= 1
    return shares


def _sheet(items: Sequence[Item], draw: Callable[[Axes, Item], str]) -> Figure:
    columns = min(COLUMNS, max(len(items), 1))
    rows = max(-(-len(items) // columns), 1)
    figure = Figure(figsize=(columns * CELL_INCHES, rows * (CELL_INCHES + TITLE_INCHES) + 0.3), dpi=DPI)
    height = rows * (CELL_INCHES + TITLE_INCHES) + 0.3
    for number, item in enumerate(items):
        row, column = divmod(number, columns)
        bottom = 0.3 + (rows - 1 - row) * (CELL_INCHES + TITLE_INCHES)
        place = (column / columns + 0.003, bottom / height, 1 / columns - 0.006, (CELL_INCHES - 0.04) / height)
        axes = figure.add_axes(place)
        axes.set_title(draw(axes, item), fontsize=6, color=INK, loc="left", pad=2, linespacing=1.15)
    _add_key(figure, height)
    return figure


def _add_key(figure: Figure, height: float) -> None:
    words = (
        ("human", HUMAN),
        ("perturbed rollout", PERTURBED),
        ("planner", expert_colour("planner")),
        ("recovery", expert_colour("recovery")),
        ("ego, and whose box is to blame", EGO),
        ("grey dashes: a rejected answer; violet: leaves its log", FAINT),
    )
    x = 0.01
    for word, colour in words:
        figure.text(x, 0.09 / height, f"\N{BLACK SQUARE} {word}", color=colour, fontsize=7)
        x += (0.028 + 0.0052 * len(word)) * COLUMNS * CELL_INCHES / figure.get_figwidth()


def _short(log: str) -> str:
    return log if len(log) <= 16 else f"{log[:8]}..{log[-4:]}"
