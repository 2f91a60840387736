"""The rejection funnel: how many pairs of token and round were attempted, passed the check, and were accepted."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simscale.generate.counts import Counts
from simscale.viz.style import EGO, FAINT, INK, PAPER, PERTURBED, expert_colour


def funnel(counts: Counts) -> Figure:
    """A funnel for each expert, and beside it what the rest was rejected for."""
    reasons = _reasons(counts)
    rows = max(2 * (len(counts.experts) + 3), len(reasons), 6)
    figure = Figure(figsize=(12, 0.3 * rows + 0.7), dpi=110, layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _draw_stages(left, counts)
    _draw_reasons(right, reasons, rows)
    return figure


def _draw_stages(axes: Axes, counts: Counts) -> None:
    bars = [
        ("attempted", counts.rounds, "#9aa7b4"),
        ("first draw passed", counts.first_draw_passed, PERTURBED),
        ("a draw passed", counts.passed, PERTURBED),
        *((f"{name} accepted", expert.accepted, expert_colour(name)) for name, expert in counts.experts.items()),
    ]
    for row, (word, number, colour) in enumerate(bars):
        share = number / counts.rounds if counts.rounds else 0.0
        axes.barh(row, number, color=colour, height=0.46)
        axes.text(number, row, f"  {number}  ({share:.0%})", va="center", fontsize=9, color=INK)
        axes.text(0, row - 0.25, word, va="bottom", fontsize=8, color=FAINT)
    axes.set_ylim(len(bars) - 0.4, -0.9)
    axes.set_xlim(0, max(counts.rounds, 1) * 1.25)
    axes.set_title("pairs of token and round", fontsize=10, color=INK, loc="left")
    _bare(axes)


def _draw_reasons(axes: Axes, reasons: list[tuple[str, int, str]], rows: int) -> None:
    most = max(1, *(number for _, number, _ in reasons))
    for row, (_, number, colour) in enumerate(reasons):
        axes.barh(row, number, color=colour, height=0.66, alpha=0.8)
        axes.text(number, row, f"  {number}", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(reasons)), [word for word, _, _ in reasons], fontsize=8.5, color=INK)
    axes.set_ylim(rows - 0.4, -0.9)
    axes.set_xlim(0, most * 1.2)
    axes.set_title("what the rest was rejected for", fontsize=10, color=INK, loc="left")
    _bare(axes, ticks=True)


def _reasons(counts: Counts) -> list[tuple[str, int, str]]:
    """Draws by reason, then each expert's answers by stage and reason; the most frequent first."""
    rows = [(f"draw: {reason}", number, PERTURBED) for reason, number in counts.rejected.items()]
    for name, expert in counts.experts.items():
        rows += [
            (f"{name}: {reason}", number, expert_colour(name))
            for stage, table in expert.rejected.items()
            if stage != "perturb"
            for reason, number in table.items()
        ]
    return sorted(rows, key=lambda row: -row[1]) or [("nothing", 0, EGO)]


def _bare(axes: Axes, *, ticks: bool = False) -> None:
    axes.set_facecolor(PAPER)
    axes.set_xticks([])
    if not ticks:
        axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
