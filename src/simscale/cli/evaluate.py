"""`simscale evaluate`: an agent on a split of the town; numbers, tables, and pictures of its worst drives."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simscale import __version__
from simscale.cli.commands import Evaluate
from simscale.cli.speech import give, say
from simscale.dataset.files import sha256_of, write_whole
from simscale.engine.progress import progress
from simscale.evaluate.agents import AGENTS, Agent
from simscale.evaluate.aggregate import COLUMNS, SCORE
from simscale.evaluate.evaluation import Evaluation, evaluated, traffic_name
from simscale.evaluate.judge import TRAFFIC, judged
from simscale.evaluate.prepare import agent_of, cache_name, checkpoint_path, size_of, split_at
from simscale.evaluate.results import SUMMARY, write_results
from simscale.evaluate.starts import Start
from simscale.evaluate.summary import summary_of
from simscale.scene import BadInput, Plan
from simscale.scoring.rules import PARITY

MANIFEST = "manifest.json"
SHORT = ("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC", "score")
"""Heads of the table, in the order of `COLUMNS`; the interval beside the score is over drives."""
PLAIN_WIDTH = 100
"""Characters of a line where nobody watches."""


def run(command: Evaluate) -> int:
    """Exit 1 when tokens failed."""
    if command.pictures < 0:
        raise BadInput("command line", "--pictures", command.pictures, "0 or more")
    asked = _asked(command)
    summary = _finished(command.out, asked)
    if summary is None:
        summary = _evaluate(command, asked)
    else:
        say(f"{command.out}: evaluated before")
    _show(summary)
    say(f"results: {command.out}")
    if command.json:
        give(summary)
    return 1 if summary["counts"]["failed"] else 0


def _evaluate(command: Evaluate, asked: dict[str, Any]) -> dict[str, Any]:
    command.out.mkdir(parents=True, exist_ok=True)
    (command.out / MANIFEST).unlink(missing_ok=True)
    folder = (command.cache or command.out) / cache_name(command.split, command.size)
    split = split_at(folder, command.split, command.size, watch=watched)
    agent = agent_of(command.agent, split, folder)
    with watched(f"evaluate {command.agent}", len(split.starts), "tokens") as advance:
        evaluation = evaluated(split, agent, traffic=asked["traffic"], on_done=advance)
    summary = summary_of(evaluation) | {"version": __version__}
    write_results(evaluation, summary, command.out)
    pictures = _draw_worst(evaluation, agent, command.out, count=command.pictures)
    close = getattr(agent, "close", None)
    if close is not None:
        close()
    content = {"command": "evaluate", **asked, "pictures": pictures}
    write_whole(command.out / MANIFEST, json.dumps(content, indent=1).encode() + b"\n")
    return summary


def _asked(command: Evaluate) -> dict[str, Any]:
    """All that the result depends on.

    Raises:
        BadInput: An agent, split or size that there is not.
    """
    size_of(command.split, command.size)
    weights = "" if command.agent in AGENTS else sha256_of(checkpoint_path(command.agent))
    traffic = "" if command.traffic == "auto" else command.traffic
    return {
        "agent": command.agent,
        "weights": weights,
        "split": command.split,
        "size": command.size,
        "traffic": traffic_name(2 if command.split == "townhard" else 1, traffic),
        "version": __version__,
    }


def _finished(out: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run of the same command found; None where there was none.

    Raises:
        BadInput: The folder holds something else.
    """
    try:
        said = json.loads((out / MANIFEST).read_bytes())
        summary = json.loads((out / SUMMARY).read_bytes()) if said.get("command") == "evaluate" else None
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        said, summary = {}, None
    if said.get("command") != "evaluate":
        raise BadInput(out / MANIFEST, "content", f"of {said.get('command', 'something else')}", "one of evaluate")
    return summary if asked.items() <= said.items() else None


@contextmanager
def watched(what: str, total: int, noun: str) -> Iterator[Callable[[int], None]]:
    """Progress on stderr."""
    with progress(what, total=total, noun=noun) as advance:
        yield lambda amount: advance(amount)


def worst_of(evaluation: Evaluation, count: int) -> list[int]:
    """Tokens with the lowest scores, from as many drives as there are, the heavier ones of the second stage first."""
    split, score = evaluation.split, evaluation.columns[:, SCORE]
    weight = np.ones(len(score)) if evaluation.two_stages is None else np.nan_to_num(evaluation.two_stages.weight)
    stage = np.array([start.stage for start in split.starts])
    wanted = evaluation.scored & (stage == split.stages)
    order = [int(n) for n in np.lexsort((-weight, score)) if wanted[n]]
    chosen: list[int] = []
    for most in range(1, count + 1):
        for n in order:
            same = sum(split.drive[m] == split.drive[n] for m in chosen)
            if len(chosen) < count and n not in chosen and same < most:
                chosen.append(n)
    return chosen


def _draw_worst(evaluation: Evaluation, agent: Agent, folder: Path, *, count: int) -> list[str]:
    """Draws the worst drives; returns the files' names."""
    from simscale.viz.drives import drive_picture
    from simscale.viz.image import png_of

    around = TRAFFIC[evaluation.traffic]()
    for old in folder.glob("worst-*.png"):
        old.unlink()
    names = []
    for n in worst_of(evaluation, count):
        start = evaluation.split.starts[n]
        plan = _plan_of(agent, start)
        drive = judged(start, plan, around=around, rules=PARITY)
        title = f"{start.token}   {evaluation.agent}   {100 * evaluation.columns[n, SCORE]:.0f}"
        see = getattr(agent, "see", None)
        seen = None if see is None else see(start)[0].transpose(1, 2, 0)
        name = f"worst-{len(names):02d}.png"
        write_whole(folder / name, png_of(drive_picture(start, plan, drive, title=title, seen=seen)))
        names.append(name)
    return names


def _plan_of(agent: Agent, start: Start) -> Plan:
    plan = agent.plan([start])
    return Plan(xy=plan.xy[0], yaw=plan.yaw[0], dt=plan.dt)


def _show(summary: dict[str, Any]) -> None:
    """The table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    console = console if console.is_terminal else Console(stderr=True, width=PLAIN_WIDTH)
    title = f"{summary['agent']}   {summary['protocol']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, head in enumerate(("", *SHORT, "95 %")):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for name, sub_scores, interval in _rows(summary):
        cells = [_percent(sub_scores[column]) for column in COLUMNS]
        table.add_row(name, *cells, f"{_percent(interval[0])}..{_percent(interval[1])}")
    console.print(table)
    counts, failed = summary["counts"], summary["counts"]["failed"]
    say(
        f"EPDMS {_percent(summary['epdms'])}, coverage {summary['coverage']:.1%} of {counts['tokens']} tokens "
        f"in {counts['drives']} drives; displacement {_metres(summary['ade'])} mean, {_metres(summary['fde'])} at 4 s"
    )
    for failure in summary["failures"]:
        say(f"failed: {failure['token']}: {failure['error']}")
    if failed > len(summary["failures"]):
        say(f"and {failed - len(summary['failures'])} more")


def _rows(summary: dict[str, Any]) -> Iterator[tuple[str, dict[str, float | None], list[float | None]]]:
    for stage in ("stage_one", "stage_two", "combined"):
        if summary["sub_scores"][stage] is not None:
            yield stage.replace("_", " "), summary["sub_scores"][stage], summary["intervals"][stage]
        if stage == "stage_two":
            for law, part in summary["laws"].items():
                yield f"  {law}", part["sub_scores"], part["interval"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _metres(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} m"
