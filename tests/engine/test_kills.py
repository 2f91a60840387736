"""Killed at random moments, a run that is started again until it ends leaves what an undisturbed one leaves."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from simscale.dataset.files import WrittenFile, write_new
from simscale.engine import Finished, RunSettings, Unit, run, units_of

KILLS = 25
UNITS = 300

SCRIPT = """
import sys
from pathlib import Path
from test_kills import everything
if __name__ == "__main__":
    everything(Path(sys.argv[1]), workers=int(sys.argv[2]))
"""


def work(unit: Unit, unfinished: Path) -> Finished:
    time.sleep(0.01)
    files = []
    for kind in ("data", "index"):
        path, sha256, size = write_new(unfinished, f"{unit.key}.{kind}", [f"{kind} {unit.items}\n".encode() * 500])
        files.append(WrittenFile(path=path, name=f"{kind}/{unit.key}", sha256=sha256, size=size, rows=1))
    return Finished(files=tuple(files), summary={"items": list(unit.items)})


def everything(out: Path, *, workers: int) -> None:
    units = units_of([f"{i:04d}" for i in range(UNITS)], size=1, configuration={})
    report = run(
        units,
        partial(work),
        out=out,
        folders=["data", "index"],
        configuration={},
        settings=RunSettings(workers=workers),
    )
    assert len(report.done) == UNITS and not report.failures


def contents(out: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for kind in ("data", "index")
        for path in (out / kind).iterdir()
    }


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_killed_at_random_it_ends_the_same(tmp_path):
    everything(tmp_path / "calm", workers=1)
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    draws, kills, code = random.Random(0), 0, None
    while code != 0:
        process = subprocess.Popen([sys.executable, script, tmp_path / "wild", "2"], env=environment)
        while kills < KILLS and process.poll() is None:
            time.sleep(draws.uniform(0.05, 1.2))
            workers = children_of(process.pid)
            victim = draws.choice([process.pid, *workers])
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills += 1
            if victim == process.pid:
                break
        code = process.wait(timeout=120)
    assert kills >= KILLS or len(contents(tmp_path / "wild")) == 2 * UNITS
    assert contents(tmp_path / "wild") == contents(tmp_path / "calm")
    assert list((tmp_path / "wild/tmp").iterdir()) == []
