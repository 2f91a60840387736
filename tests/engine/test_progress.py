"""Progress: plain lines where nobody watches."""

from simscale.engine import progress as module
from simscale.engine.progress import progress


def test_lines_say_how_much_how_fast_and_how_long(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 11.0, 100.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("generate", total=40, noun="scenes", done=10) as advance:
        advance(5, "7 accepted")
        advance(5)
        advance(20)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["generate: 15/40 scenes, 0.50/s, 50 s left, 7 accepted", "generate: 40/40 scenes"]
