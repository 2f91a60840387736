import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from simscale.planners import PLANNERS
from simscale.planners.gtrs import NANO, Gtrs, GtrsConfig, build, fan, total_score
from simscale.planners.gtrs_head import METRICS, DecoderLayer, fused_attention
from simscale.planners.vovnet import VovConfig

SMALL_VOV = VovConfig(
    image_size=(64, 256),
    stem_widths=(8, 8, 16),
    layer_widths=(8, 8, 16, 16),
    widths=(16, 16, 32, 32),
    layers=2,
    blocks=(1, 2, 1, 2),
)


def inputs(count: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 64, 256, generator=draw), torch.randn(count, 8, generator=draw)


def built(**fields) -> Gtrs:
    return build(dataclasses.replace(NANO, **fields), seed=1)


@pytest.fixture(scope="module")
def nano() -> Gtrs:
    return build(NANO, seed=1).eval()


def test_nano_has_about_a_million_parameters_and_the_shapes_its_config_says(nano):
    assert 0.8e6 < sum(weight.numel() for weight in nano.parameters()) < 1.3e6
    with torch.inference_mode():
        output = nano(*inputs())
    assert output.trajectory.shape == (3, 40, 3) and output.candidates.shape == (256, 40, 3)
    assert output.metrics.shape == (3, len(METRICS), 256) and output.imitation.shape == output.total.shape == (3, 256)
    assert torch.equal(output.trajectory, nano._trajectory_head.vocab[output.total.argmax(1)])


@pytest.mark.parametrize("trunk", [NANO.trunk, SMALL_VOV])
def test_a_sample_is_planned_alike_alone_and_in_a_batch(trunk):
    model = built(trunk=trunk).eval()
    rgb, status = inputs(5)
    with torch.inference_mode():
        together = model(rgb, status)
        alone = [model(rgb[i : i + 1], status[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(together.total, torch.cat([each.total for each in alone]), rtol=1e-4, atol=1e-5)
    assert torch.equal(together.trajectory, torch.cat([each.trajectory for each in alone]))


def test_the_scores_read_image_and_status_alike(nano):
    rgb, status = inputs()
    with torch.inference_mode():
        total = nano(rgb, status).total
        assert (nano(rgb.roll(40, -1), status).total - total).abs().max() > 1e-4
        assert (nano(rgb, -status).total - total).abs().max() > 1e-4


def test_the_seed_alone_decides_the_first_weights():
    torch.manual_seed(5)
    one, before = built().state_dict(), torch.get_rng_state()
    two, other = built().state_dict(), build(NANO, seed=4).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["_backbone.lidar_latent"], other["_backbone.lidar_latent"])


def test_the_vocabulary_is_encoded_once_and_again_when_a_weight_has_changed():
    model = built().eval()
    head, calls = model._trajectory_head, []
    head.encoder.register_forward_hook(lambda *args: calls.append(1))
    rgb, status = inputs()

    def total():
        with torch.inference_mode():
            return model(rgb, status).total

    first = total()
    assert torch.equal(first, total()) and len(calls) == 1
    optimiser = torch.optim.AdamW(head.encoder.parameters(), lr=0.1, fused=True)
    model(rgb, status).total.sum().backward()
    optimiser.step()
    calls.clear()
    assert not torch.equal(first, total()) and len(calls) == 1
    model.load_state_dict(built().state_dict())
    assert torch.equal(first, total()) and len(calls) == 2
    model.use_vocabulary(2 * head.vocab)
    assert not torch.equal(first, total()) and len(calls) == 3


def test_what_is_kept_changes_neither_scores_nor_gradients():
    """Twin: `nn.TransformerDecoder` and the written-out attention, every sample for itself."""
    model = built().eval()
    head, (rgb, status) = model._trajectory_head, inputs()
    layer = nn.TransformerDecoderLayer(NANO.width, NANO.attention_heads, NANO.hidden, 0.0, batch_first=True)
    twin = nn.TransformerDecoder(layer, NANO.decoder_layers)
    twin.load_state_dict(head.transformer.state_dict())
    tokens = head.pos_embed(head.vocab.flatten(1)).expand(len(rgb), -1, -1)
    attention, encoder = head.encoder.self_attn, head.encoder
    talk = attention.to_out(
        plain_attention(
            attention.to_q(tokens), attention.to_k(tokens), attention.to_v(tokens), heads=NANO.attention_heads
        )
    )
    tokens = encoder.norm1(tokens + talk)
    tokens = encoder.norm3(tokens + encoder.linear2(encoder.linear1(tokens).relu()))
    expected = total_score(
        *head.predicted(twin(tokens, model.memory(rgb)) + model._status_encoding(status)[:, None]), NANO.score
    )
    total = model(rgb, status).total
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(model(rgb, status).total, expected.detach(), rtol=1e-4, atol=1e-5)
    name = "_trajectory_head.encoder.self_attn.to_k.weight"
    (wanted,) = torch.autograd.grad(expected.square().sum(), [model.get_parameter(name)])
    (found,) = torch.autograd.grad(total.square().sum(), [model.get_parameter(name)])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def plain_attention(q, k, v, *, heads: int) -> torch.Tensor:
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return ((q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2).flatten(2)


def test_fused_attention_is_attention():
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, n, 32, generator=draw) for n in (300, 70, 70))
    torch.testing.assert_close(fused_attention(q, k, v, heads=4), plain_attention(q, k, v, heads=4))


def test_a_layer_in_two_halves_is_pytorchs():
    ours, (x, memory) = DecoderLayer(32, 64, 4), (torch.randn(2, n, 32) for n in (9, 5))
    theirs = nn.TransformerDecoderLayer(32, 4, 64, 0.0, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours.looked(ours.talked(x), memory), theirs(x, memory))


def test_in_training_a_share_of_the_vocabulary_takes_part_drawn_by_the_generator():
    model = built(training_share=0.5).train()
    runs = [model(*inputs(), generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    rows = [run.rows for run in runs]
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    assert len(rows[0].unique()) == 128
    assert torch.equal(runs[0].candidates, model._trajectory_head.vocab[rows[0]])
    whole = built().train()(*inputs())
    assert torch.equal(whole.rows, torch.arange(256))


@pytest.mark.parametrize("per_batch", [True, False])
def test_noise_on_the_status_is_on_velocity_alone_and_only_in_training(per_batch):
    model = built(status_noise_per_batch=per_batch)
    _, status = inputs(400)
    seen = model._noisy(status, torch.Generator().manual_seed(0)) - status
    assert float(seen[:, [0, 1, 2, 3, 6, 7]].abs().max()) == 0.0
    if per_batch:
        torch.testing.assert_close(seen[:, 4:6], seen[:1, 4:6].expand(400, 2))
    else:
        torch.testing.assert_close(seen[:, 4:6].std(dim=0), torch.tensor([1.0, 0.2]), rtol=0.1, atol=0.0)
    assert model.eval()._noisy(status, None) is status
    assert built(status_noise=(0.0, 0.0)).train()._noisy(status, None) is status


def test_proposals_are_the_best_and_their_scores_are_those_of_the_whole(nano):
    rgb, status = inputs()
    with torch.inference_mode():
        output, best = nano(rgb, status), nano.propose(rgb, status, count=5)
        scores = nano.score(rgb, status, nano._trajectory_head.vocab)
        own = nano.score(rgb, status, nano._trajectory_head.vocab.expand(3, -1, -1, -1))
    assert best.trajectory.shape == (3, 5, 40, 3) and torch.equal(best.trajectory[:, 0], output.trajectory)
    assert torch.equal(best.score, output.total.sort(dim=1, descending=True).values[:, :5])
    assert torch.equal(nano._trajectory_head.vocab[best.row], best.trajectory)
    torch.testing.assert_close(scores, output.total, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(own, output.total, rtol=1e-4, atol=1e-5)


def test_another_vocabulary_may_be_of_another_size_and_its_order_does_not_matter(nano):
    model = built().eval()
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    rgb, status = inputs()
    with torch.inference_mode():
        expected = model(rgb, status)
        model.use_vocabulary(model._trajectory_head.vocab[order])
        mixed = model(rgb, status)
        torch.testing.assert_close(mixed.total, expected.total[:, order], rtol=1e-4, atol=1e-5)
        model.use_vocabulary(fan(32))
        assert model(rgb, status).total.shape == (3, 32)
    assert model.config.vocabulary == 32
    assert build(model.config).state_dict()["_trajectory_head.vocab"].shape == (32, 40, 3)


def test_the_fan_drives_forwards_over_everything_a_car_does():
    arcs = fan(1024)
    steps = torch.cat([torch.zeros(1024, 1, 2), arcs[..., :2]], dim=1).diff(dim=1)
    assert float(steps.norm(dim=-1).max()) < 2.4 and len(arcs.unique(dim=0)) == 1024
    heading = torch.cat([torch.zeros(1024, 1), arcs[:, :-1, 2]], dim=1)
    along = steps[..., 0] * heading.cos() + steps[..., 1] * heading.sin()
    assert float(along.min()) > -1e-4
    assert float(arcs[:, -1, 1].min()) < -10 and float(arcs[:, -1, 1].max()) > 10
    moved = steps.norm(dim=-1).sum(dim=1)
    assert float(moved.min()) < 1 and float(moved.max()) > 60


def test_a_standing_start_and_certain_failure_have_finite_scores():
    metrics = torch.full((1, len(METRICS), 2), -60.0)
    assert total_score(metrics, torch.zeros(1, 2), NANO.score).isfinite().all()


def test_v2_99_keeps_its_norms_and_recomputes_to_the_same_gradients():
    model, again = (built(trunk=dataclasses.replace(SMALL_VOV, recompute=flag)).train() for flag in (False, True))
    before = {name: value.clone() for name, value in model._backbone.named_buffers()}
    for each in (model, again):
        each(*inputs(), generator=torch.Generator().manual_seed(0)).total.sum().backward()
    assert all(torch.equal(before[name], value) for name, value in model._backbone.named_buffers())
    for (name, one), (_, two) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(one.grad, two.grad, msg=name)
    loose = built(trunk=dataclasses.replace(SMALL_VOV, frozen_norms=False)).train()
    loose(*inputs())
    mean = "_backbone.image_encoder.stem.stem_1/norm.running_mean"
    assert not torch.equal(loose.state_dict()[mean], build(loose.config, seed=1).state_dict()[mean])


def test_parts_that_are_carried_are_never_asked():
    carried = ("_query_embedding", "_tf_decoder", "_agent_head")
    plain, full = built(trunk=SMALL_VOV), built(trunk=SMALL_VOV, carried=carried)
    extra = full.state_dict().keys() - plain.state_dict().keys()
    assert {name.partition(".")[0] for name in extra} == set(carried)
    full.load_state_dict({**full.state_dict(), **plain.state_dict()})
    rgb, status = inputs()
    assert torch.equal(full.eval()(rgb, status).total, plain.eval()(rgb, status).total)


def test_the_convolution_before_the_enlargement_is_the_one_after():
    model, draw = built(), torch.Generator().manual_seed(0)
    neck, fused = torch.randn(2, 32, 16, 16, generator=draw), torch.randn(2, 128, 2, 2, generator=draw)
    large = functional.interpolate(fused, size=(16, 16), mode="bilinear", align_corners=False)
    expected = model._bev_downscale(torch.cat([large, neck], dim=1))
    torch.testing.assert_close(model._birds_eye(neck, fused), expected, rtol=1e-4, atol=1e-5)


def test_an_image_of_another_resolution_is_refused(nano):
    with pytest.raises(AssertionError, match="128"):
        nano(torch.rand(1, 3, 64, 128), torch.zeros(1, 8))
    with pytest.raises(AssertionError, match="128"):
        built(trunk=SMALL_VOV)(torch.rand(1, 3, 64, 128), torch.zeros(1, 8))


def test_presets_are_what_they_are_called():
    presets = PLANNERS["gtrs"].presets
    hydra = dataclasses.replace(presets["nvlabs_v99"], training_share=1.0)
    assert presets["hydra_mdp_v99"] == hydra and isinstance(hydra, GtrsConfig)
