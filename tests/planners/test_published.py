"""Published checkpoints in all their forms, and what is said of files that are none."""

import dataclasses
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from command import code_of, told
from simscale.planners import PLANNERS, read_checkpoint, read_info, read_published
from simscale.planners.checkpoint import shapes_of
from simscale.planners.published import matching_presets, planner_of, read_weights
from simscale.scene import BadInput


@pytest.fixture(scope="module")
def model():
    return PLANNERS["ltf"].build(PLANNERS["ltf"].presets["nano"], seed=3)


def refused(call, *words: str) -> None:
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("form", "prefix"),
    [
        ("lightning", "agent._transfuser_model."),
        ("state_dict", "agent.model."),
        ("plain", ""),
        ("state_dict", "agent."),
        ("plain", "module.agent._transfuser_model."),
        ("old", "module."),
        ("safetensors", "agent._transfuser_model."),
    ],
)
def test_published_weights_are_read_and_written_back_in_any_form_and_under_any_prefix(tmp_path, model, form, prefix):
    state = {prefix + name: weight for name, weight in model.state_dict().items()}
    file, ours, back = tmp_path / "published.ckpt", tmp_path / "ours.safetensors", tmp_path / "back.ckpt"
    more = {"epoch": 9, "optimizer_states": [{"state": {0: {"step": torch.zeros(1)}}}]} if form == "lightning" else {}
    wrapped = form in ("lightning", "state_dict")
    if form == "safetensors":
        save_file({name: weight.contiguous() for name, weight in state.items()}, file)
    else:
        held = {"state_dict": state, **more} if wrapped else state
        torch.save(held, file, _use_new_zipfile_serialization=form != "old")
    assert same(read_published(file).state_dict(), model.state_dict())
    assert code_of("checkpoint", "convert", file, "--out", ours) == 0
    again, info = read_checkpoint(ours, planner="ltf", preset="nano")
    assert same(again.state_dict(), model.state_dict())
    assert info.origin is not None and info.origin.prefix == prefix and info.origin.table == "state_dict" * wrapped
    assert code_of("checkpoint", "convert", ours, "--out", back) == 0
    found = torch.load(back, weights_only=True)
    assert same(found["state_dict"] if wrapped else found, state)


def test_a_planner_trained_here_is_written_as_its_reference_would(tmp_path, model):
    from simscale.planners import CheckpointInfo, write_checkpoint

    info = CheckpointInfo(planner="ltf", preset="nano", config=PLANNERS["ltf"].presets["nano"])
    ours = write_checkpoint(tmp_path / "ours.safetensors", model, info)
    assert code_of("checkpoint", "convert", ours, tmp_path / "back.ckpt") == 0
    found = torch.load(tmp_path / "back.ckpt", weights_only=True)["state_dict"]
    assert same(found, {"agent._transfuser_model." + name: weight for name, weight in model.state_dict().items()})


def meta(planner: str, preset: str) -> dict[str, torch.Tensor]:
    kind = PLANNERS[planner]
    return {name: torch.empty_like(w, device="meta") for name, w in shapes_of(kind, kind.presets[preset]).items()}


@pytest.mark.slow
def test_every_preset_of_every_planner_is_recognised_by_its_weights():
    from simscale.planners.checkpoint import Origin
    from simscale.planners.published import Published

    for planner, kind in PLANNERS.items():
        for preset in kind.presets:
            published = Published(path=Path("x"), state=meta(planner, preset), origin=Origin())
            assert planner_of(published) == planner
            assert preset in matching_presets(published, planner), (planner, preset)


@pytest.mark.slow
def test_what_weights_do_not_tell_is_asked_for(tmp_path, capsys):
    file, out = tmp_path / "published.ckpt", tmp_path / "ours.safetensors"
    state = {name: torch.zeros(w.shape, dtype=w.dtype) for name, w in meta("ltf", "navsim").items()}
    torch.save(state, file)
    assert code_of("checkpoint", "convert", file, "--out", out) == 2
    told_ = capsys.readouterr().err
    assert told_.count("\n") == 1 and "resolution" in told_
    assert "--resolution 256 1024 (as ltf navsim)" in told_ and "--resolution 512 2048 (as ltf simscale)" in told_
    assert not out.exists()
    assert code_of("checkpoint", "convert", file, "--out", out, "--resolution", 512, 2048) == 0
    assert read_info(out).preset == "simscale"
    assert code_of("checkpoint", "convert", file, "--out", out, "--preset", "navsim") == 0
    assert read_info(out).config.trunk.image_size == (256, 1024)
    capsys.readouterr()
    assert code_of("checkpoint", "convert", file, "--out", out, "--resolution", 384, 1536, "--json") == 0
    assert told(capsys.readouterr().out)["resolution"] == [384, 1536]
    assert read_info(out).preset == "" and read_info(out).config.trunk.image_size == (384, 1536)
    for wrong in ((500, 2000), (512, 1024), (0, 0)):
        assert code_of("checkpoint", "convert", file, "--out", out, "--resolution", *wrong) == 2
        assert "4 times as wide as high" in capsys.readouterr().err


def test_files_that_are_no_planner_are_refused_with_what_they_are(tmp_path, model):
    file = tmp_path / "published.ckpt"
    refused(lambda: read_published(file), "no file")
    torch.save({"state_dict": model.state_dict()}, file)
    whole = file.read_bytes()
    refused(lambda: read_published(file, preset="huge"), "'huge'", "one of nano")
    refused(lambda: read_published(file, preset="navsim"), "those of ltf nano", "expected ltf navsim")
    for content in (whole[: len(whole) // 2], whole[:100], b""):
        file.write_bytes(content)
        refused(lambda: read_published(file), "truncated or damaged")
    for content in (b"a text\n" * 30, b"\xff\xd8\xff\xe0" + bytes(range(200))):
        file.write_bytes(content)
        refused(lambda: read_published(file), "no PyTorch file")
    for held in ({"weights": 3}, {}, [torch.zeros(1)], {"state_dict": {}}, 3):
        torch.save(held, file)
        refused(lambda: read_published(file), "no table of weights")
    torch.save({"resnet.conv1.weight": torch.zeros(2)}, file)
    refused(lambda: read_published(file), "unknown: 1 weights, resnet.conv1.weight for one")


@pytest.mark.slow
def test_weights_that_lack_or_add_something_are_refused_by_the_nearest_preset(tmp_path, model):
    file, state = tmp_path / "published.ckpt", model.state_dict()
    name = "_status_encoding.weight"
    for change, words in (
        ({key: w for key, w in state.items() if key != name}, ("1 missing", name, "ltf nano")),
        ({**state, "zebra": torch.zeros(1)}, ("1 unknown", "zebra", "ltf nano")),
        ({**state, name: torch.zeros(64, 9)}, (name, "(64, 9)", "(64, 8)")),
        ({**state, name: state[name].double()}, (name, "float64", "float32")),
    ):
        torch.save(change, file)
        refused(lambda: read_published(file), *words)


@dataclasses.dataclass
class Bomb:
    """Pickled, it makes a file when it is unpickled."""

    path: Path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    file, bomb = tmp_path / "published.ckpt", Bomb(tmp_path / "executed")
    torch.save({"state_dict": {"a": bomb}}, file)
    refused(lambda: read_weights(file), "would run code (", "weights alone")
    for protocol in range(2, 6):
        file.write_bytes(pickle.dumps({"a": bomb}, protocol))
        refused(lambda: read_weights(file), "would run code (", "weights alone")
    assert not bomb.path.exists()


def test_info_says_what_a_file_holds_whoever_wrote_it(tmp_path, model, capsys):
    file, ours = tmp_path / "published.ckpt", tmp_path / "ours.safetensors"
    torch.save({"state_dict": {"agent._transfuser_model." + k: w for k, w in model.state_dict().items()}}, file)
    assert code_of("checkpoint", "info", file, "--json") == 0
    published = told(capsys.readouterr().out)
    assert code_of("checkpoint", "convert", file, "--out", ours) == 0
    capsys.readouterr()
    assert code_of("checkpoint", "info", ours, "--json") == 0
    converted = told(capsys.readouterr().out)
    for said in (published, converted):
        assert said["planner"] == "ltf" and said["presets"] == ["nano"] and said["resolution"] == [64, 256]
        assert said["cameras"] == ["CAM_L0", "CAM_F0", "CAM_R0"]
        assert said["parameters"] == sum(w.numel() for w in model.parameters())
    assert published["form"] == "published" and converted["form"] == "simscale"
    assert code_of("checkpoint", "info", ours) == 0
    assert "ltf nano" in capsys.readouterr().out
