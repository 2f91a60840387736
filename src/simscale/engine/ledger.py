"""The ledger: which units are done, with the files that each left. A row is written after its files are in place.

A crash between the two leaves files without a row. They are overwritten when the unit runs again, or collected.
"""

import errno
import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simscale.dataset.files import WrittenFile
from simscale.engine.units import KEY_LENGTH, Finished, Json
from simscale.scene import BadInput

SCHEMA = """
create table if not exists run (key text primary key, value text not null);
create table if not exists done (unit text primary key, files text not null, summary text not null);
"""

ROOM = 1 << 16
"""Bytes that SQLite needs to open a ledger at all."""
TOLD, LONGEST = 3, 40
"""Differences between two runs that are told, and letters of each value: a log's digest would say no more."""


class Ledger:
    """An open ledger; one process at a time holds it."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self.path, self._connection = path, connection

    def done(self) -> dict[str, Finished]:
        """Every committed unit, by key."""
        with _as_os_error(self.path):
            rows = self._connection.execute("select unit, files, summary from done order by unit").fetchall()
        return {unit: Finished(files=_files(files), summary=json.loads(summary)) for unit, files, summary in rows}

    def commit(self, unit: str, finished: Finished) -> None:
        """Records that a unit's files are in place."""
        files = [vars(file) | {"path": ""} for file in finished.files]
        row = (unit, json.dumps(files), json.dumps(finished.summary))
        with _as_os_error(self.path), self._connection:
            self._connection.execute("insert or replace into done values (?, ?, ?)", row)

    def agree(self, configuration: Json) -> None:
        """Writes down what the run was asked for, or checks that it was asked for the same.

        Raises:
            BadInput: The folder holds a run of another configuration.
        """
        asked = json.loads(json.dumps(configuration))
        with _as_os_error(self.path), self._connection:
            row = self._connection.execute("select value from run where key = 'configuration'").fetchone()
            if row is None:
                self._connection.execute("insert into run values ('configuration', ?)", (json.dumps(asked),))
                return
        found = json.loads(row[0])
        if found != asked:
            raise BadInput(
                self.path.parent, "run", f"begun with {_difference(found, asked)}", "the same, or another --out"
            )


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """Opens a ledger, made when absent.

    Raises:
        BadInput: It is not a ledger, or another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(path.parent, "folder", "in use by another run", "one run at a time") from None
        connection = sqlite3.connect(path)
        try:
            yield Ledger(path, _prepared(connection, path))
        finally:
            connection.close()


def _prepared(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    with _as_os_error(path):
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma trusted_schema = off")
        connection.executescript(SCHEMA)
    return connection


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Says what the disk refused in the words of the operating system, and what is no ledger in ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = (
            "full" in str(error) or shutil.disk_usage(path.parent).free < ROOM
        )  # SQLite calls some of them I/O errors
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, os.strerror(errno.ENOSPC) if full else str(error), str(path)) from error
    except sqlite3.DatabaseError as error:
        raise BadInput(path, "file", f"unreadable ({error})", "a ledger") from error


def _difference(found: Json, asked: Json) -> str:
    """The first few settings that differ, by dotted name."""
    then, now = dict(_leaves(found)), dict(_leaves(asked))
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    told = [f"{name}={_short(then.get(name))} (asked for now: {_short(now.get(name))})" for name in names[:TOLD]]
    return ", ".join(told) + (f" and {len(names) - TOLD} more differences" if len(names) > TOLD else "")


def _leaves(content: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}" if name else key)


def _short(value: Json) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _files(text: str) -> tuple[WrittenFile, ...]:
    return tuple(WrittenFile(**{**file, "path": Path(file["path"])}) for file in json.loads(text))


def orphans(out: Path, folders: Sequence[str], *, units: set[str], done: dict[str, Finished]) -> list[Path]:
    """Files of these units that no row of the ledger names: what a crash left behind."""
    known = {file.name for finished in done.values() for file in finished.files}
    found = [path for folder in folders if (out / folder).is_dir() for path in sorted((out / folder).iterdir())]
    return [p for p in found if p.name[:KEY_LENGTH] in units and f"{p.parent.name}/{p.name}" not in known]
