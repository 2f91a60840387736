"""`simscale check planners`: whether our planners say what the reference's say, on golden numbers."""

from typing import Any

from simscale.cli.commands import Check
from simscale.cli.speech import give
from simscale.engine.progress import progress
from simscale.evaluate.comparison import Agreement
from simscale.evaluate.golden_check import Checked
from simscale.evaluate.planner_check import PlannerVerdict, checked_planner, planner_files, planner_verdict

SHOWN_FAULTS = 20
"""Sentences about what differs; there may be thousands."""


def run(command: Check) -> int:
    """Exit 1 where something differs beyond its tolerance, or has nothing of ours beside it."""
    files = planner_files(command.folder)
    parts: dict[str, Checked | None] = {}
    with progress("check", total=len(files), noun="files") as advance:
        for path in files:
            parts[path.stem] = checked_planner(command.folder, path)
            advance(1, path.stem)
    verdict = planner_verdict(parts)
    if command.json:
        give(numbers_of(verdict))
    else:
        print("\n".join(lines_of(verdict)))
    return 0 if verdict.passes else 1


def lines_of(verdict: PlannerVerdict) -> list[str]:
    """A line a quantity, then what is missing and what differs, then the totals."""
    wide = max(len(name) for name in (*verdict.agreements, "total"))
    lines = [f"{name:{wide}}  {_words(one)}" for name, one in verdict.agreements.items()]
    lines += [f"missing: {name}, for which there is no planner" for name in verdict.missing]
    lines += [f"differs: {fault}" for fault in verdict.faults[:SHOWN_FAULTS]]
    if len(verdict.faults) > SHOWN_FAULTS:
        lines.append(f"and {len(verdict.faults) - SHOWN_FAULTS} more")
    return [*lines, f"{'total':{wide}}  {_words(verdict.total)}"]


def numbers_of(verdict: PlannerVerdict) -> dict[str, Any]:
    """The same for programs; a worst difference that is no number is null."""
    quantities = {**verdict.agreements, "total": verdict.total}
    numbers: dict[str, Any] = {
        name: {"compared": one.compared, "within": one.equal, "worst": one.worst if one.worst < float("inf") else None}
        for name, one in quantities.items()
    }
    return numbers | {"missing": list(verdict.missing), "faults": list(verdict.faults)}


def _words(one: Agreement) -> str:
    return f"{one.compared:9d} compared  {one.equal:9d} within  worst difference {one.worst:.3g}"
