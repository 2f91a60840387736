"""Steps: one command after another, two at a time where there are two cores, and each only once.

An experiment is a list of `simscale` commands that anybody could type. What a finished one printed is kept, so that the
same experiment goes on where it stopped; a command that was cut off goes on by itself.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simscale import __version__
from simscale.dataset.files import write_whole

POLL = 0.05
"""Seconds between two looks at the running commands."""
TAIL = 1
"""Lines of a failed command's words that are repeated: its one sentence."""


class StepFailed(Exception):
    """A command of an experiment ended with an error; its own sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command."""

    name: str
    arguments: tuple[str, ...]  # of `simscale`, without --json
    needs: tuple[str, ...] = ()  # names of the steps before it
    cores: int = 1


@dataclass
class _Running:
    """A command under way."""

    step: Step
    process: subprocess.Popen[str]
    begun: float


def run_steps(
    steps: Sequence[Step], folder: Path, *, cores: int, on_done: Callable[[Step, float], None] = lambda step, s: None
) -> dict[str, dict[str, Any]]:
    """Runs what is not done yet; results by name.

    Args:
        steps: In an order in which each comes after those that it needs.
        folder: Where results and words are kept, `<name>.json` and `<name>.log`.
        cores: To share out.
        on_done: Told after each step, with the seconds that it took; 0 for one that was done before.

    Raises:
        StepFailed: A command ended with an error. The others are stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    waiting, running = list(steps), list[_Running]()
    try:
        while waiting or running:
            for step in list(waiting):
                if (known := _kept(folder, step)) is not None:
                    results[step.name] = known
                    waiting.remove(step)
                    on_done(step, 0.0)
                elif all(need in results for need in step.needs) and _free(running, cores) >= min(step.cores, cores):
                    running.append(_begun(step, folder))
                    waiting.remove(step)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                results[one.step.name] = _result(one, folder)
                on_done(one.step, time.monotonic() - one.begun)
            time.sleep(POLL)
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.wait()
    return results


def _free(running: Sequence[_Running], cores: int) -> int:
    return cores - sum(min(one.step.cores, cores) for one in running)


def _begun(step: Step, folder: Path) -> _Running:
    """Starts a command; what it prints goes to files, since nobody reads a pipe while others run."""
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with (folder / f"{step.name}.log").open("w") as words, (folder / f"{step.name}.out").open("w") as numbers:
        process = subprocess.Popen(
            [sys.executable, "-m", "simscale", *step.arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=numbers,
            stderr=words,
            text=True,
            env=os.environ | threads,
        )
    return _Running(step=step, process=process, begun=time.monotonic())


def _result(one: _Running, folder: Path) -> dict[str, Any]:
    name = one.step.name
    if one.process.returncode != 0:
        said = (folder / f"{name}.log").read_text().strip().splitlines()[-TAIL:]
        raise StepFailed(f"{name} ended with {one.process.returncode}: {' '.join(said)} (see {folder / name}.log)")
    result = json.loads((folder / f"{name}.out").read_text().strip().splitlines()[-1])
    seconds = round(time.monotonic() - one.begun, 1)
    kept = {"arguments": list(one.step.arguments), "version": __version__, "seconds": seconds, "result": result}
    write_whole(folder / f"{name}.json", json.dumps(kept, indent=1).encode() + b"\n")
    (folder / f"{name}.out").unlink()
    return result


def _kept(folder: Path, step: Step) -> dict[str, Any] | None:
    """What this command printed when it was done before; None where it was not, or was another one."""
    try:
        kept = json.loads((folder / f"{step.name}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    same = kept.get("arguments") == list(step.arguments) and kept.get("version") == __version__
    return kept["result"] if same else None
