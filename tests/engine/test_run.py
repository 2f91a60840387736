"""The engine: every unit once, whatever dies on the way."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from simscale.dataset.files import WrittenFile, write_new
from simscale.engine import Finished, RunReport, RunSettings, Unit, during, run, units_of
from simscale.scene import BadInput

CONFIGURATION = {"seed": 0}


def write_items(unit: Unit, unfinished: Path) -> Finished:
    content = ",".join(unit.items).encode()
    path, sha256, size = write_new(unfinished, unit.key, [content])
    file = WrittenFile(path=path, name=f"data/{unit.key}.txt", sha256=sha256, size=size, rows=1)
    return Finished(files=(file,), summary={"items": len(unit.items)})


def noted(unit: Unit, notes: Path) -> int:
    """How often the unit was begun, this time included; survives the death of the process."""
    with (notes / unit.key).open("a") as file:
        file.write("x")
    return len((notes / unit.key).read_text())


def work_that(unit: Unit, unfinished: Path, *, what: str, bad: str, notes: Path) -> Finished:
    times = noted(unit, notes)
    if bad in unit.items:
        with during(bad, "rolling out"):
            if what == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "dies once" and times == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "raises":
                raise ZeroDivisionError("no such luck")
            if what == "raises once" and times == 1:
                raise ZeroDivisionError("no such luck")
            if what == "bad input":
                raise BadInput("b.npz", "size", "(31, 2)", "(31, 3)")
            if what == "disk full":
                raise OSError(errno.ENOSPC, "No space left on device", "b")
    return write_items(unit, unfinished)


def ran(out: Path, work=write_items, *, workers: int = 1, items="abcdef", on_done=lambda progress: None) -> RunReport:
    units = units_of(list(items), size=1, configuration=CONFIGURATION)
    settings = RunSettings(workers=workers)
    return run(units, work, out=out, folders=["data"], configuration=CONFIGURATION, settings=settings, on_done=on_done)


def contents(out: Path) -> list[str]:
    return sorted(path.read_text() for path in (out / "data").iterdir())


@pytest.fixture
def notes(tmp_path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_unit_is_done_once(tmp_path, workers):
    told = []
    report = ran(tmp_path / "out", workers=workers, on_done=told.append)
    assert contents(tmp_path / "out") == list("abcdef")
    assert [progress.done for progress in told] == [1, 2, 3, 4, 5, 6]
    assert report.failures == () and len(report.done) == 6
    assert list((tmp_path / "out/tmp").iterdir()) == []


def test_units_depend_neither_on_order_nor_on_what_else_there_is_in_their_key():
    forward = units_of(list("abcd"), size=2, configuration=CONFIGURATION)
    assert forward == units_of(list("dcba"), size=2, configuration=CONFIGURATION)
    assert [unit.items for unit in forward] == [("a", "b"), ("c", "d")]
    other = units_of(list("abcd"), size=2, configuration={"seed": 1})
    assert not {unit.key for unit in forward} & {unit.key for unit in other}


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, notes):
    work = partial(work_that, what="nothing", bad="", notes=notes)

    def stop_after_two(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path / "out", work, on_done=stop_after_two)
    report = ran(tmp_path / "out", work)
    assert report.resumed == 2
    assert contents(tmp_path / "out") == list("abcdef")
    assert all(note.read_text() == "x" for note in notes.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unit_that_raises_is_tried_three_times_and_set_aside_with_its_traceback(tmp_path, notes, workers):
    report = ran(tmp_path / "out", partial(work_that, what="raises", bad="b", notes=notes), workers=workers)
    (failure,) = report.failures
    assert (failure.item, failure.step, failure.attempts) == ("b", "rolling out", 3)
    assert "ZeroDivisionError: no such luck" in failure.traceback and "work_that" in failure.traceback
    assert contents(tmp_path / "out") == list("acdef")
    assert not report.succeeded(RunSettings())
    assert report.succeeded(RunSettings(allowed_failures=0.2))


def test_a_unit_that_raises_once_is_done_in_the_end(tmp_path, notes):
    report = ran(tmp_path / "out", partial(work_that, what="raises once", bad="b", notes=notes))
    assert report.failures == () and contents(tmp_path / "out") == list("abcdef")


def test_a_unit_that_kills_its_worker_is_set_aside_and_no_other_with_it(tmp_path, notes):
    report = ran(tmp_path / "out", partial(work_that, what="dies", bad="b", notes=notes), workers=2)
    (failure,) = report.failures
    assert failure.attempts == 3 and "died" in failure.error
    assert contents(tmp_path / "out") == list("acdef")


def test_a_worker_killed_once_costs_nothing(tmp_path, notes):
    report = ran(tmp_path / "out", partial(work_that, what="dies once", bad="b", notes=notes), workers=2)
    assert report.failures == () and contents(tmp_path / "out") == list("abcdef")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("what", "error"), [("bad input", BadInput), ("disk full", OSError)])
def test_bad_input_and_a_full_disk_come_back_as_themselves_at_once(tmp_path, notes, workers, what, error):
    with pytest.raises(error) as caught:
        ran(tmp_path / "out", partial(work_that, what=what, bad="b", notes=notes), workers=workers)
    if error is BadInput:
        assert str(caught.value) == "b.npz: size is (31, 2), expected (31, 3)"
    else:
        assert caught.value.errno == errno.ENOSPC
    (begun,) = [
        note for note in notes.iterdir() if note.name == units_of(["b"], size=1, configuration=CONFIGURATION)[0].key
    ]
    assert begun.read_text() == "x"


def test_a_folder_begun_with_other_settings_is_refused(tmp_path):
    ran(tmp_path)
    with pytest.raises(BadInput, match="begun with seed=0"):
        run([], write_items, out=tmp_path, folders=["data"], configuration={"seed": 1}, settings=RunSettings())


def test_a_folder_in_use_is_refused(tmp_path):
    def start_another(progress):
        with pytest.raises(BadInput, match="in use by another run"):
            ran(tmp_path)

    ran(tmp_path, on_done=start_another)


def test_what_a_crash_left_is_collected_and_nothing_else(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "tmp").mkdir()
    unit = units_of(["a"], size=1, configuration=CONFIGURATION)[0]
    orphan, half, foreign = tmp_path / f"data/{unit.key}-old.txt", tmp_path / "tmp/half", tmp_path / "data/mine.txt"
    for path in (orphan, half, foreign):
        path.write_text("old")
    ran(tmp_path, items="a")
    assert not orphan.exists() and not half.exists() and foreign.read_text() == "old"


INTERRUPTED = """
import sys
from pathlib import Path
from test_run import ran, sleep_long
if __name__ == "__main__":
    print("ready", flush=True)
    try:
        ran(Path(sys.argv[1]), sleep_long, workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def sleep_long(unit: Unit, unfinished: Path) -> Finished:
    (unfinished.parent / f"pid-{os.getpid()}").touch()
    time.sleep(60)
    return write_items(unit, unfinished)


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_their_coordinator(tmp_path, sign, code):
    """Whether it is interrupted (as a terminal does it: the whole group) or killed outright."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "out"], env=environment, start_new_session=True, stderr=subprocess.PIPE
    )
    until(lambda: len(list((tmp_path / "out").glob("pid-*"))) == 2)
    if sign == signal.SIGINT:
        os.killpg(process.pid, sign)
    else:
        process.kill()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert b"Traceback" not in errors
    pids = [int(path.name.split("-")[1]) for path in (tmp_path / "out").glob("pid-*")]
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def until(condition, seconds: float = 20.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.05)


def test_an_idle_worker_killed_between_two_units_is_replaced(tmp_path):
    from simscale.engine.pool import Workers

    pool = Workers(write_items, tmp_path, 2)
    first, second = units_of(["a", "b"], size=1, configuration=CONFIGURATION)
    pool.submit(first)
    assert isinstance(pool.finished()[0][1], Finished)
    assert pool._executor is not None
    for pid in pool._executor._processes:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    pool.submit(second)
    assert isinstance(pool.finished()[0][1], Finished)
    pool.close()


def test_the_ledger_holds_what_each_unit_left(tmp_path):
    ran(tmp_path, items="a")
    again = ran(tmp_path, items="a")
    (finished,) = again.done.values()
    assert finished.summary == {"items": 1} and again.resumed == 1
    assert json.dumps(finished.summary)
    assert (tmp_path / finished.files[0].name).read_text() == "a"


def test_what_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"something else" * 500)
    with pytest.raises(BadInput, match=r"ledger\.sqlite: file is unreadable"):
        ran(tmp_path)


def write_much(unit: Unit, unfinished: Path) -> Finished:
    path, sha256, size = write_new(unfinished, unit.key, [bytes(40_000)])
    file = WrittenFile(path=path, name=f"data/{unit.key}.txt", sha256=sha256, size=size, rows=1)
    return Finished(files=(file,), summary="x" * 2000)


@pytest.mark.parametrize("kilobytes", [24, 48, 72, 100, 130, 160])
def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path, kilobytes):
    """Wherever it strikes: in the ledger, in a worker's file, in the commit."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(OSError, match="No space left on device"):
            ran(disk / "out", write_much)
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        report = ran(disk / "out", write_much)
        assert len(report.done) == 6 and len(contents(disk / "out")) == 6
    finally:
        subprocess.run(["umount", disk], check=True)
