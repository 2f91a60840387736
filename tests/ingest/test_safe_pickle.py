"""The pickle reader returns plain data as Python would, and refuses everything else before it can act."""

import io
import pickle
import pickletools
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from simscale.ingest import safe_pickle
from simscale.ingest.safe_pickle import read_pickle, read_pickled_items
from simscale.scene import BadInput

SHARED_LIST = [1, 2.5, "x"]
PLAIN = {
    "array": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 2)),
    "names": np.array(["ab", "c"]),
    "scalar": np.float64(3.5),
    "integer": np.int32(-7),
    "bytes": b"\x00\xff",
    "nested": [(1, 2), {"a": None, 5: {True}}, SHARED_LIST, SHARED_LIST],
    "text": "zoë \U0001f697",
    "large": 1 << 62,
    "set": {"a", "b"},
}


def same(a: object, b: object) -> bool:
    """Whether two trees of plain data are equal in values, types and array types."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "scene.pkl"
    path.write_bytes(raw)
    return path


def refused(folder: Path, raw: bytes) -> str:
    """The sentence with which a program is refused; the reader may take neither time nor memory over it."""
    path = written(folder, raw)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        read_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 2.0 and peak < 64e6
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_comes_back_as_python_reads_it(tmp_path, protocol):
    assert same(read_pickle(written(tmp_path, pickle.dumps(PLAIN, protocol=protocol))), PLAIN)


def test_names_of_numpy_1_are_known(tmp_path):
    raw = pickle.dumps(PLAIN, protocol=3).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in raw
    assert same(read_pickle(written(tmp_path, raw)), PLAIN)


class Attack:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_is_imported_or_called(tmp_path, protocol):
    import os

    trace = tmp_path / "trace"
    sentence = refused(tmp_path, pickle.dumps({"a": Attack(os.system, f"touch {trace}")}, protocol=protocol))
    assert not trace.exists()
    assert "scene.pkl" in sentence and "\n" not in sentence
    if protocol > 0:
        assert "posix.system" in sentence


@pytest.mark.parametrize(
    "function", [eval, getattr, __import__, open, np.load, np.fromfile, np.zeros, bytearray, io.BytesIO, Path]
)
def test_other_names_are_refused(tmp_path, function):
    assert "asks for" in refused(tmp_path, pickle.dumps(Attack(function, "x"), protocol=4))


def test_a_memo_index_costs_nothing(tmp_path):
    assert "memo index" in refused(tmp_path, b"\x80\x04Nr\xff\xff\xff\x7f.")


@pytest.mark.parametrize(
    "opcode, width", [(b"X", "<I"), (b"B", "<I"), (b"\x8d", "<Q"), (b"\x8e", "<Q"), (b"\x96", "<Q")]
)
def test_a_string_cannot_claim_more_than_the_file_has(tmp_path, opcode, width):
    assert "damaged" in refused(tmp_path, b"\x80\x05" + opcode + struct.pack(width, 2**31) + b"short.")


def array_program(shape: bytes, state_shape: bytes = b"K\x02\x85", raw: bytes = b"\x00" * 16) -> bytes:
    """A pickle of one float64 array, with the shapes and bytes that are asked for."""
    make = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + shape + b"C\x01b\x87R"
    little_endian = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R" + little_endian
    return (
        b"\x80\x03"
        + make
        + b"(K\x01"
        + state_shape
        + dtype
        + b"\x89"
        + b"B"
        + struct.pack("<I", len(raw))
        + raw
        + b"tb."
    )


def test_an_array_is_as_large_as_its_bytes(tmp_path):
    zero, two_gigabytes = b"K\x00\x85", b"J\x00\x00\x00\x10\x85"
    np.testing.assert_array_equal(read_pickle(written(tmp_path, array_program(zero))), [0.0, 0.0])
    assert "shape (268435456,)" in refused(tmp_path, array_program(two_gigabytes))
    assert "shape (268435456,)" in refused(tmp_path, array_program(zero, state_shape=two_gigabytes))
    assert "shape (-2,)" in refused(tmp_path, array_program(zero, state_shape=b"J\xfe\xff\xff\xff\x85"))


def test_arrays_hold_numbers_and_strings_only(tmp_path):
    for value in (np.array([{}]), np.zeros(2, dtype=[("a", "f8")]), np.zeros(2, dtype="M8[s]")):
        refused(tmp_path, pickle.dumps(value, protocol=4))


def test_deep_nesting_and_cycles_are_refused(tmp_path):
    assert "nested too deep" in refused(tmp_path, b"]" * 5000 + b"a" * 4999 + b".")
    cycle: list = []
    cycle.append(cycle)
    assert "nested too deep" in refused(tmp_path, pickle.dumps(cycle))
    sharing: list = []
    for _ in range(25):  # 2^25 leaves if walked one by one
        sharing = [sharing, sharing]
    assert read_pickle(written(tmp_path, pickle.dumps(sharing)))


def test_floods_end_at_the_caps(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_CONTAINERS", 1000)
    assert "too many containers" in refused(tmp_path, b"(" + b"\x8f" * 2000 + b"t.")
    monkeypatch.setattr(safe_pickle, "MAX_OPCODES", 1000)
    assert "too long a program" in refused(tmp_path, b"(" + b"N" * 2000 + b"t.")
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 1000)
    assert "expected 1 to 1000 bytes" in refused(tmp_path, b"N" * 2000)


def test_keys_that_could_collide_are_refused(tmp_path):
    assert "key of type tuple" in refused(tmp_path, pickle.dumps({(1, 2): 3}))
    assert "an integer of" in refused(tmp_path, pickle.dumps({(1 << 61) - 1 << 70: 3}))


def test_state_cannot_be_set_on_names_or_containers(tmp_path):
    name = b"\x80\x03cnumpy\ndtype\n"
    for program in (name + b"}b.", name + b"(Nt}\x86b.", b"}}b.", b"]}b.", name + b"."):
        refused(tmp_path, program)


def test_missing_and_empty_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="missing"):
        read_pickle(tmp_path / "nowhere.pkl")
    assert "0 bytes" in refused(tmp_path, b"")


def test_every_truncation_and_many_flips_end_in_bad_input_or_plain_data(tmp_path):
    raw = pickle.dumps(PLAIN, protocol=4)
    for length in range(1, len(raw), 5):
        with pytest.raises(BadInput):
            read_pickle(written(tmp_path, raw[:length]))
    random = np.random.Generator(np.random.Philox(7))
    for place in random.integers(0, len(raw), 300):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << int(random.integers(8))
        try:
            read_pickle(written(tmp_path, bytes(flipped)))
        except BadInput:
            continue


def test_unknown_opcodes_are_refused(tmp_path):
    for opcode in pickletools.opcodes:
        if opcode.name not in safe_pickle._OPCODES and opcode.name != "STOP":
            refused(tmp_path, b"\x80\x04N" + opcode.code.encode("latin1") + b"\x01\n\n\x00\x00\x00.")


def items_in(folder: Path, raw: bytes) -> list[tuple[object, object]]:
    return list(read_pickled_items(written(folder, raw)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_items_of_a_dictionary_come_one_by_one(tmp_path, protocol):
    wanted = {f"token-{i}": {"array": np.arange(i, i + 3.0), "same": SHARED_LIST[0]} for i in range(1200)}
    found = items_in(tmp_path, pickle.dumps(wanted, protocol=protocol))
    assert [key for key, _ in found] == list(wanted)
    assert all(same(value, wanted[str(key)]) for key, value in found)
    assert items_in(tmp_path, pickle.dumps({}, protocol=protocol)) == []


def test_items_that_were_handed_out_take_no_memory(tmp_path):
    path = written(tmp_path, b"".join(parts_of_a_large_dictionary(items=60, floats=50_000)))
    tracemalloc.start()
    for _, value in read_pickled_items(path):
        assert isinstance(value, np.ndarray)
        del value
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 20_000_000 and peak < 3_000_000


def parts_of_a_large_dictionary(*, items: int, floats: int):
    yield b"\x80\x03}"
    for i in range(items):
        for part in (f"token-{i}", np.full(floats, float(i))):
            yield pickle.dumps(part, protocol=3)[2:-1]
        yield b"s"
    yield b"."


def test_an_item_may_refer_to_an_earlier_ones_names_and_not_to_what_it_holds(tmp_path):
    text = b"X\x01\x00\x00\x00"
    names = b"\x80\x03}" + text + b"aq\x00" + text + b"xq\x01s" + text + b"bh\x01s."
    assert items_in(tmp_path, names) == [("a", "x"), ("b", "x")]
    with pytest.raises(BadInput, match="pickle is damaged"):
        items_in(tmp_path, b"\x80\x03}" + text + b"a]q\x01s" + text + b"bh\x01s.")
    shared = np.arange(5.0)
    assert len(items_in(tmp_path, pickle.dumps(dict.fromkeys("ab", shared)))) == 2  # both are set at once


@pytest.mark.parametrize("value", [[1], 3, "x", np.ones(2), {1: 2, "a": [{}]}])
def test_only_dictionaries_have_items(tmp_path, value):
    if isinstance(value, dict):
        assert items_in(tmp_path, pickle.dumps(value)) == list(value.items())
        return
    with pytest.raises(BadInput, match="expected a dictionary"):
        items_in(tmp_path, pickle.dumps(value))


def test_hostile_items_are_refused_when_they_come(tmp_path):
    raw = pickle.dumps({"good": 1, "bad": Path("x")}, protocol=4)
    with pytest.raises(BadInput, match="asks for"):
        items_in(tmp_path, raw)
    for cut in range(0, len(raw) - 1, 7):
        with pytest.raises(BadInput):
            items_in(tmp_path, pickle.dumps({"good": np.arange(9.0)}, protocol=4)[:cut])
