"""The command line: exit codes, one sentence for what went wrong, and the whole way from scenes to a report."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simscale.cli.commands import Dataset, Generate
from simscale.cli.main import exit_code_of, main, parsed, sentence_of
from simscale.scene import BadInput
from simscale.scene.file import write_scene
from worlds import changed, straight_scene

SIMSCALE = [sys.executable, "-c", "from simscale.cli import main; main()"]


def asked(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Runs a command in a process of its own."""
    return subprocess.run([*SIMSCALE, *map(str, arguments)], capture_output=True, text=True, **options)


def refused(*arguments: object, **options) -> str:
    """The one sentence of a command that refuses its input."""
    done = asked(*arguments, **options)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr and done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    return line


def code_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> Path:
    """Arcs at several speeds: enough to leave the human's path and to come back to it."""
    time_s = np.arange(1, 41) * 0.1
    speed, curvature = np.meshgrid(np.linspace(5, 11, 13), np.linspace(-0.012, 0.012, 21))
    distance = speed.ravel()[:, None] * time_s
    yaw = distance * curvature.ravel()[:, None]
    step = np.diff(np.concatenate([np.zeros((len(yaw), 1)), distance], axis=1), axis=1)
    xy = np.cumsum(step[..., None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1), axis=1)
    path = tmp_path_factory.mktemp("vocabulary") / "arcs.npy"
    np.save(path, np.concatenate([xy, yaw[..., None]], axis=-1).astype(np.float32))
    return path


@pytest.fixture
def scenes(tmp_path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name, gap in (("first", 30.0), ("second", 45.0)):
        write_scene(changed(straight_scene(seconds=12.5, boxes=[(gap, 0.0, 0.0, 8.0)]), id=name), folder)
    write_scene(changed(straight_scene(seconds=5.0), id="short"), folder)
    return folder


def test_help_answers_at_once():
    times = []
    for _ in range(3):
        began = time.monotonic()
        done = asked("--help")
        times.append(time.monotonic() - began)
        assert done.returncode == 0 and "generate" in done.stdout
    assert min(times) < 0.6


def test_help_imports_nothing_heavy():
    heavy = ("numpy", "numba", "pyarrow", "matplotlib", "scipy", "shapely")
    script = (
        "import sys\nfrom simscale.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_bad_usage_is_two(capsys):
    assert code_of("ingest", "waymo", "x", "--out", "y") == 2
    assert code_of("town") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_commands_read_their_inputs_in_order():
    command = parsed(["generate", "a", "b", "--out", "c", "--rounds", "2", "--workers", "3", "--json"])
    assert isinstance(command, Generate)
    assert (command.scenes, command.out, command.rounds, command.workers) == ((Path("a"), Path("b")), Path("c"), 2, 3)
    assert command.json and not command.debug


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BadInput("f.npz", "size", 1, 2), 2, "f.npz: size is 1, expected 2"),
        (OSError(28, "No space left on device", "f"), 2, "f: No space left on device; free some space"),
        (ZeroDivisionError("division\nby zero"), 1, "a fault of ours, please report it: ZeroDivisionError"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again"),
    ],
)
def test_whatever_goes_wrong_is_one_line_and_an_exit_code(capsys, error, code, words):
    def run() -> int:
        raise error

    assert exit_code_of(Dataset(action="info", folder=Path("d")), run) == code
    err = capsys.readouterr().err
    assert words in err and len(err.strip().splitlines()) == 1


def test_debug_lets_the_traceback_through():
    def run() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code_of(Dataset(action="info", folder=Path("d"), debug=True), run)


def test_an_error_without_a_file_names_the_output():
    command = Generate(scenes=(Path("a"),), out=Path("here"))
    assert sentence_of(OSError(28, "No space left on device"), command).startswith("here: No space left")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ingest", "argoverse2", "{tmp}/none", "--out", "{tmp}/o"], "none"),
        (["generate", "{tmp}/none", "--out", "{tmp}/o", "--vocabulary", "{arcs}"], "none: path is missing"),
        (["generate", "--out", "{tmp}/o"], "SCENES is empty"),
        (["generate", "{tmp}/scenes", "--out", "{tmp}/o", "--experts", "oracle"], "--experts is 'oracle'"),
        (["generate", "{tmp}/scenes", "--out", "{tmp}/o", "--workers", "0"], "--workers is 0"),
        (["generate", "{tmp}/scenes", "--out", "{tmp}/o", "--vocabulary", "{tmp}/v.npy"], "v.npy: file is missing"),
        (["generate", "{tmp}/scenes/short.scene.npz", "--out", "{tmp}/o", "--vocabulary", "{arcs}"], "length"),
        (["generate", "{tmp}/cut.scene.npz", "--out", "{tmp}/o", "--vocabulary", "{arcs}"], "cut.scene.npz"),
        (["generate", "{tmp}/empty.scene.npz", "--out", "{tmp}/o", "--vocabulary", "{arcs}"], "empty.scene.npz"),
        (["vocabulary", "build", "{tmp}/scenes", "--out", "{tmp}/v.npy", "--size", "100000"], "--size is 100000"),
        (["dataset", "verify", "{tmp}/scenes"], "manifest.json: file is absent"),
        (["show", "{tmp}/cut.scene.npz", "--out", "{tmp}/o.png"], "cut.scene.npz"),
        (["show", "{tmp}/scenes/first.scene.npz", "--out", "{tmp}/o.gif"], "--out"),
        (["town", "--out", "{tmp}/o", "--drives", "0"], "--drives is 0"),
        (["town", "--out", "{tmp}/empty.scene.npz/below"], "Not a directory"),
        (["generate", "{tmp}/scenes", "--out", "{tmp}/empty.scene.npz/o", "--vocabulary", "{arcs}"], "Not a directory"),
    ],
)
def test_bad_input_is_one_sentence_and_two(tmp_path, scenes, vocabulary, capsys, arguments, words):
    whole = (scenes / "first.scene.npz").read_bytes()
    (tmp_path / "cut.scene.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.scene.npz").touch()
    assert code_of(*(part.format(tmp=tmp_path, arcs=vocabulary) for part in arguments)) == 2
    out, err = capsys.readouterr()
    (line,) = err.strip().splitlines()
    assert out == "" and words in line and "Traceback" not in line


@pytest.mark.shared
def test_a_bad_log_is_named_and_the_others_go_on(tmp_path, shared, capsys):
    logs = shared / "data/commonroad_ngsim"
    for file in sorted(logs.glob("*.xml"))[:1]:
        shutil.copy(file, tmp_path)
    (tmp_path / "USA_Bad-1_1_T-1.xml").write_text("<commonRoad")
    code = code_of("ingest", "commonroad", tmp_path, "--out", tmp_path / "o", "--json")
    out, err = capsys.readouterr()
    told = json.loads(out.splitlines()[-1])
    assert code == 1 and len(told["scenes"]) == 1
    assert "USA_Bad-1_1_T-1.xml" in told["refused"][0]["error"] and "refused: " in err
    assert (tmp_path / "o/manifest.json").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KB; skipped where one may not mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence(small_disk):
    assert "No space left on device" in refused_last_line("town", "--out", small_disk / "o", "--drives", "2")


def test_a_read_only_disk_is_one_sentence(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "Read-only file system" in refused_last_line("town", "--out", small_disk / "o", "--drives", "1")


def test_a_file_that_may_not_grow_is_one_sentence(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    line = refused_last_line("town", "--out", tmp_path / "o", "--drives", "1", preexec_fn=limit)
    assert "File too large" in line


def refused_last_line(*arguments: object, **options) -> str:
    done = asked(*arguments, **options)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_generate_from_scenes_to_report(tmp_path, scenes, vocabulary):
    common = ("generate", scenes, "--rounds", 2, "--vocabulary", vocabulary, "--json")
    one = asked(*common, "--out", tmp_path / "one", "--workers", 1)
    assert one.returncode == 0, one.stderr
    told = json.loads(one.stdout.splitlines()[-1])
    assert told["perturb"]["rounds"] > 0 and told["experts"]["planner"]["attempted"] == told["perturb"]["rounds"]
    assert set(told["logs"]) == {"first", "second"} and set(told["too_short"]) == {"short"}
    assert len(told["digest"]) == 64 and "attempted_per_second" in told

    two = asked(*common, "--out", tmp_path / "two", "--workers", 2)
    assert json.loads(two.stdout.splitlines()[-1])["digest"] == told["digest"]
    for kind in ("data", "index", "scenes", "rejections"):
        assert bytes_in(tmp_path / "one" / kind) == bytes_in(tmp_path / "two" / kind)

    report = (tmp_path / "one/report.html").read_text()
    assert "data:image/png;base64," in report and "http://" not in report and "https://" not in report
    assert asked("dataset", "verify", tmp_path / "one").returncode == 0
    info = json.loads(asked("dataset", "info", tmp_path / "one", "--json").stdout)
    assert info["digest"] == told["digest"]
    for extra in ([], ["--rejected"]):
        assert asked("show", tmp_path / "one", "--out", tmp_path / "sheet.png", *extra).returncode == 0
    assert "begun with" in refused(*common[:2], "--rounds", 3, *common[4:], "--out", tmp_path / "one")


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_interrupted_generation_goes_on_and_ends_the_same(tmp_path, scenes, vocabulary):
    command = [*SIMSCALE, "generate", scenes, "--rounds", "2", "--vocabulary", vocabulary, "--workers", "1"]
    process = subprocess.Popen([*command, "--out", tmp_path / "a"], stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while not list((tmp_path / "a/data").glob("*.tar")) and process.poll() is None:
        assert time.monotonic() - began < 120
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    if process.returncode == 130:
        assert err.strip().splitlines()[-1] == "interrupted; the same command goes on where it stopped"
        assert not (tmp_path / "a/manifest.json").exists()
    assert subprocess.run([*command, "--out", tmp_path / "a"], capture_output=True).returncode == 0
    assert subprocess.run([*command, "--out", tmp_path / "b"], capture_output=True).returncode == 0
    assert bytes_in(tmp_path / "a/data") == bytes_in(tmp_path / "b/data")
