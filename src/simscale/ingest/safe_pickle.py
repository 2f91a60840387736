"""Reads the data of a pickle without unpickling it.

A pickle is a program. We do not run it with Python's unpickler, which any list of forbidden names fails to tame; we
walk its opcodes with a stack machine of our own that knows plain containers, numbers, strings and, by name, the few
functions with which NumPy writes arrays. It imports nothing and calls nothing that the file names: an array is made
from its bytes by `numpy.frombuffer`, after shape, type and size have been compared with the bytes that are there.

What this stops, each with a test:

* imports (`os.system`, `builtins.eval`): a name outside `NAMES` is refused when it is read, before anything acts on it;
* objects of other classes, persistent ids, extension codes: their opcodes are not in the machine;
* memory bombs: a memo index above the number of opcodes (3 GB from 9 bytes in Python's unpickler), strings that claim
  more bytes than the file has, arrays by `_reconstruct` of any shape but (0,) (2 GB from 68 bytes), shapes larger than
  their bytes, millions of empty containers;
* nesting deeper than `MAX_DEPTH`, which includes containers that hold themselves;
* slow hashing: keys and set members are strings and numbers of at most 8 bytes, never tuples;
* truncated files and plain nonsense.

Memory and time are therefore linear in the file's size and bounded by the caps below, so no child process with limits
is needed (ours: a child costs 0.3 s a file, and its answer would have to be checked again).
"""

import mmap
import pickletools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from simscale.scene import BadInput

MAX_BYTES = 64_000_000
"""Largest file (ours); the largest public ScenarioNet pickles have about 10 MB."""
MAX_OPCODES = 3_000_000
"""Longest program (ours): 20 times that of a busy nuScenes scene. Bounds stack, memo and time."""
MAX_CONTAINERS = 1_000_000
"""Most lists, dictionaries, sets and tuples (ours); an empty set takes 216 bytes for one in the file."""
MAX_DEPTH = 32
"""Deepest nesting (ours); a ScenarioNet file has 6."""
RECORD = "record "
"""Role of the name of a class that the reader expects, before the name itself."""
MAX_INTEGER_BYTES = 8
"""Longest integer; longer ones can be made to collide in a dictionary."""

DTYPE_KINDS = "biufUS"
"""Kinds of array elements: truth values, numbers, strings."""

NAMES = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy.core.multiarray scalar": "scalar",
    "numpy._core.multiarray scalar": "scalar",
    "numpy.core.numeric _frombuffer": "frombuffer",
    "numpy._core.numeric _frombuffer": "frombuffer",
    "_codecs encode": "encode",
    "builtins set": "set",
    "__builtin__ set": "set",
    "builtins bytes": "bytes",
    "__builtin__ bytes": "bytes",
}
"""Names that a file may mention (of NumPy 1 and of NumPy 2), and what the machine does in their place."""


@dataclass(eq=False)
class Record:
    """An object of a class that the reader of a file expects there: its fields as data. The class is never imported."""

    name: str  # of the class, with its module
    fields: dict[str, Any] = field(default_factory=dict)


def read_pickle(path: Path, *, records: Collection[str] = ()) -> object:
    """The plain data in a pickle: containers, strings, numbers and NumPy arrays (read-only).

    Args:
        path: The file.
        records: Classes (`module.Name`) whose objects may stand in it; each comes back as a `Record`.

    Raises:
        BadInput: The file is missing, too large, truncated, or asks for anything but plain data.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", "a pickle")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise BadInput(path, "size", f"{size} bytes", f"1 to {MAX_BYTES} bytes")
    raw = path.read_bytes()
    with _told_of(path):
        machine = _Machine(records=records)
        for _ in machine.run(raw):
            pass
        value = machine.result()
        _check_plain(value)
        return value


def read_pickled_items(path: Path) -> Iterator[tuple[object, object]]:
    """The items of a pickled dictionary, as `read_pickle` has them, one after another: of files larger than memory.

    The caps hold for each item (or the thousand that Python writes at once), and an item may share names with earlier
    ones, but no array.

    Raises:
        BadInput: The file is missing, truncated, no dictionary, or asks for anything but plain data.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", "a pickle")
    if path.stat().st_size == 0:
        raise BadInput(path, "size", "0 bytes", "a pickled dictionary")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw, _told_of(path):
        machine = _Machine(root_items=[])
        for items in machine.run(raw):
            for key, value in items:
                _check_plain(value)
                yield key, value
        if machine.root is None or machine.result() is not machine.root:
            raise _Refused(f"a {type(machine.result()).__name__.strip('_')}", "a dictionary")


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Whatever is wrong inside is told in one sentence about this file."""
    try:
        yield
    except _Refused as refused:
        raise BadInput(path, "pickle", refused.found, refused.expected) from None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, UnicodeError, AttributeError) as error:
        raise BadInput(path, "pickle", f"damaged ({str(error)[:80]})", "plain data in a complete file") from None


class _Refused(Exception):
    def __init__(self, found: str, expected: str):
        super().__init__(found)
        self.found, self.expected = found, expected


@dataclass(frozen=True)
class _Name:
    """A name that the file mentions and that is known here."""

    role: str


@dataclass(eq=False)
class _Blank:
    """What a file fills in a step later: an array or a dtype between its making and its state."""

    role: str
    code: str = ""
    memo: list[int] = field(default_factory=list)


class _Mark:
    pass


_MARK = _Mark()


class _Machine:
    """Stack, memo and opcodes of the pickle format, as far as plain data needs them."""

    def __init__(self, root_items: list[tuple[Any, Any]] | None = None, records: Collection[str] = ()):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.opcodes = self.containers = 0
        self.counted = self.forgotten = 0  # opcodes before this item, and kept values that are gone
        self.fresh: list[int] = []  # memo indices that this item wrote
        self.root: dict | None = None  # the outermost dictionary, where its items are handed out ...
        self.root_items = root_items  # ... and not kept
        self.records = records

    def run(self, raw: bytes | mmap.mmap) -> Iterator[list[tuple[Any, Any]]]:
        """Runs the program, and hands out the root's items as they come, where they are asked for."""
        for opcode, argument, _ in pickletools.genops(cast(Any, raw)):
            self.opcodes += 1
            if self.opcodes - self.counted > MAX_OPCODES:
                raise _Refused("too long a program", f"at most {MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                return
            act = _OPCODES.get(opcode.name)
            if act is None:
                raise _Refused(f"a program with the opcode {opcode.name}", "opcodes of plain data")
            act(self, argument)
            if self.root_items:
                items, self.root_items = self.root_items, []
                self.forget()
                yield items

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise _Refused(f"a program that leaves {len(self.stack)} values", "one value")
        return self.stack[0]

    def forget(self) -> None:
        """Lets go of what items before hold; names, types and what else is small may be referred to again."""
        for index in self.fresh:
            if index in self.memo and self.memo[index] is not self.root and not _is_small(self.memo[index]):
                del self.memo[index]
                self.forgotten += 1
        self.fresh, self.counted, self.containers = [], self.opcodes, 0

    def empty_dict(self) -> None:
        self.push_container({})
        if self.root_items is not None and self.root is None and len(self.stack) == 1:
            self.root = self.stack[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_integer(self, value: int) -> None:
        if value.bit_length() > 8 * MAX_INTEGER_BYTES:
            raise _Refused(f"an integer of {value.bit_length()} bits", f"at most {8 * MAX_INTEGER_BYTES}")
        self.push(value)

    def push_container(self, value: Any) -> None:
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise _Refused("too many containers", f"at most {MAX_CONTAINERS}")
        self.push(value)

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise _Refused("a program without a mark", "plain data in a complete file")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def put(self, index: int) -> None:
        if index > self.opcodes:
            raise _Refused(f"a memo index of {index} after {self.opcodes} opcodes", "at most one a opcode")
        value = self.stack[-1]
        if value is _MARK:
            raise _Refused("a program that keeps a mark", "plain data")
        if isinstance(value, _Blank):
            value.memo.append(index)
        self.memo[index] = value
        self.fresh.append(index)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise _Refused("a program that takes more than it made", "plain data in a complete file")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        self.push_container(tuple(items))

    def extend_list(self, items: list[Any]) -> None:
        _typed(self.stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = _typed(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if self.root_items is not None and target is self.root:
                self.root_items.append((_hashable(key), value))
            else:
                target[_hashable(key)] = value

    def add_items(self, items: list[Any]) -> None:
        _typed(self.stack[-1], set).update(_hashable(item) for item in items)

    def name(self, module_and_name: str) -> None:
        role, dotted = NAMES.get(module_and_name), module_and_name.replace(" ", ".")
        if role is None and dotted in self.records:
            self.push(_Name(RECORD + dotted))
            return
        if role is None:
            shown = dotted[:60]
            raise _Refused(f"a program that asks for {shown!r}", "NumPy arrays and plain data only")
        self.push(_Name(role))

    def stack_name(self) -> None:
        name, module = _typed(self.stack.pop(), str), _typed(self.stack.pop(), str)
        self.name(f"{module} {name}")

    def call(self) -> None:
        arguments, target = _typed(self.stack.pop(), tuple), _typed(self.stack.pop(), _Name)
        maker = _CALLS.get(target.role)
        if maker is None:
            raise _Refused(f"a program that calls {target.role}", "NumPy arrays and plain data only")
        self.push_container(maker(*arguments))

    def new_record(self) -> None:
        arguments, target = _typed(self.stack.pop(), tuple), _typed(self.stack.pop(), _Name)
        if arguments or not target.role.startswith(RECORD):
            raise _Refused(f"a program that makes a {target.role.removeprefix(RECORD)}", "plain data")
        self.push_container(Record(name=target.role.removeprefix(RECORD)))

    def build(self) -> None:
        if len(self.stack) > 1 and isinstance(self.stack[-2], Record):
            self.stack[-2].fields.update(_typed(self.stack.pop(), dict))
            return
        state, blank = _typed(self.stack.pop(), tuple), _typed(self.stack.pop(), _Blank)
        value = _array_of_state(*state) if blank.role == "array" else _dtype_of_state(blank.code, *state)
        for index in blank.memo:
            self.memo[index] = value
        self.push(value)


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _Refused(f"a program that uses a {type(value).__name__} as a {kind.__name__}", "plain data")
    return value


def _is_small(value: Any) -> bool:
    return isinstance(value, str | _Name | np.dtype) or (isinstance(value, bytes) and len(value) <= 16)


def _hashable(key: Any) -> Any:
    if key is not None and not isinstance(key, str | int | float | np.generic):
        raise _Refused(f"a key of type {type(key).__name__}", "strings and numbers")
    return key


def _reconstruct(kind: Any, shape: Any, _code: Any) -> _Blank:
    if kind != _Name("ndarray") or shape != (0,):
        raise _Refused(f"an array of shape {str(shape)[:40]} before its data", "shape (0,)")
    return _Blank("array")


def _dtype(code: Any, *_flags: Any) -> _Blank:
    dtype = np.dtype(_typed(code, str)[:16])
    _check_dtype(dtype)
    return _Blank("dtype", code=dtype.str)


def _check_dtype(dtype: np.dtype) -> None:
    if dtype.kind not in DTYPE_KINDS or dtype.names is not None or dtype.subdtype is not None:
        raise _Refused(f"an array of {dtype}", "arrays of numbers, truth values or strings")


def _dtype_of_state(code: str, _version: int, byte_order: str, *rest: Any) -> np.dtype:
    if rest[:3] != (None, None, None):
        raise _Refused("an array of records", "arrays of numbers, truth values or strings")
    dtype = np.dtype(code)
    return dtype if byte_order in ("|", "=") else dtype.newbyteorder(_typed(byte_order, str)[:1])


def _array_of_state(_version: int, shape: Any, dtype: Any, is_fortran: Any, raw: Any) -> np.ndarray:
    return _array(raw, dtype, shape, "F" if is_fortran else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    known = dtype if isinstance(dtype, np.dtype) else np.dtype(_typed(dtype, _Blank).code)
    sides = [_typed(side, int) for side in _typed(shape, tuple)]
    if len(sides) > 32 or any(side < 0 for side in sides):
        raise _Refused(f"an array of shape {str(shape)[:40]}", "up to 32 sides of 0 or more")
    count = 1
    for side in sides:  # Python's integers: NumPy's product can overflow
        count *= side
    if not isinstance(raw, bytes | bytearray) or count * known.itemsize != len(raw):
        raise _Refused(f"an array of shape {str(shape)[:40]} and {known} on other data", "as many bytes as it needs")
    return np.frombuffer(bytes(raw), dtype=known).reshape(sides, order="F" if order == "F" else "C")


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (), "C")[()]


def _encode(text: Any, codec: Any) -> bytes:
    if codec != "latin1":  # how pickles of protocol 2 write bytes
        raise _Refused(f"text in {str(codec)[:20]!r}", "latin1")
    return _typed(text, str).encode("latin1")


def _set(items: Any) -> set:
    return {_hashable(item) for item in _typed(items, list)}


def _no_bytes() -> bytes:
    return b""  # how pickles of protocol 2 write it; a call with anything does not fit


_CALLS: dict[str, Callable[..., Any]] = {
    "reconstruct": _reconstruct,
    "dtype": _dtype,
    "scalar": _scalar,
    "frombuffer": _array,
    "encode": _encode,
    "set": _set,
    "bytes": _no_bytes,
}

_OPCODES: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _Machine.push_integer),
    **dict.fromkeys(
        ("BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
        _Machine.push,
    ),
    "BYTEARRAY8": _Machine.push,
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_DICT": lambda m, a: m.empty_dict(),
    "EMPTY_LIST": lambda m, a: m.push_container([]),
    "EMPTY_SET": lambda m, a: m.push_container(set()),
    "EMPTY_TUPLE": lambda m, a: m.push_container(()),
    "MARK": lambda m, a: m.push(_MARK),
    "TUPLE": lambda m, a: m.push_container(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "APPEND": lambda m, a: m.extend_list([m.stack.pop()]),
    "APPENDS": lambda m, a: m.extend_list(m.pop_to_mark()),
    "SETITEM": lambda m, a: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, a: m.set_items(m.pop_to_mark()),
    "ADDITEMS": lambda m, a: m.add_items(m.pop_to_mark()),
    "MEMOIZE": lambda m, a: m.put(len(m.memo) + m.forgotten),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, a: m.push(m.memo[a])),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda m, a: m.stack_name(),
    "REDUCE": lambda m, a: m.call(),
    "BUILD": lambda m, a: m.build(),
    "NEWOBJ": lambda m, a: m.new_record(),
}

_LEAVES = (str, bytes, bytearray, bool, int, float, type(None), np.ndarray, np.generic)


def _check_plain(value: object) -> None:
    """Refuses leftovers of the machine, and nesting too deep (a container that holds itself is endlessly deep)."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = {id(item): item for held in level for item in _held_by(held)}
        if not inner:
            return
        level = list(inner.values())
    raise _Refused("nested too deep", f"at most {MAX_DEPTH} levels")


def _held_by(value: object) -> Iterator[object]:
    value = value.fields if isinstance(value, Record) else value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set) else None
    if items is None:
        if not isinstance(value, _LEAVES):
            raise _Refused(f"a program that leaves a {type(value).__name__.strip('_')}", "plain data")
        return
    for item in items:
        if isinstance(item, dict | list | tuple | set) or not isinstance(item, _LEAVES):
            yield item
