"""One ConvNet for three dimensions: sizes of text 000, gradients, agreement of the dimensions, inflation to 3D."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from mien.backbones.convnet import ConvNet, ConvNetSpec, inflate, output_size, unit
from mien.errors import OptionError

SIZES = {1: (21,), 2: (13, 10), 3: (7, 9, 6)}


def rand(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def seeded(spec, seed=0, dtype=torch.float32):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvNet(spec).to(dtype)
        for name, parameter in net.named_parameters():  # norms that do something, so that a lost one shows
            if parameter.dim() == 1:
                nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.3)
    return net.eval()


def small(dim, **changes):
    return ConvNetSpec(**{"dim": dim, "channels": 2, "widths": (8, 16), "encoding": 12, **changes})


# arithmetic


def test_fourteen_with_a_filter_of_five_gives_ten():
    assert output_size(14, 5) == 10


@pytest.mark.parametrize(("dim", "layer"), [(1, nn.Conv1d), (2, nn.Conv2d), (3, nn.Conv3d)])
def test_sixteen_filters_of_five_on_fourteen_give_sixteen_channels_of_ten(dim, layer):
    assert layer(1, 16, 5)(torch.zeros(1, 1, *[14] * dim)).shape == (1, 16, *[output_size(14, 5)] * dim)


@pytest.mark.parametrize("size", [7, 8, 15])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (3, 2, 1), (1, 0, 2), (2, 3, 2)])
def test_output_size_is_what_a_convolution_gives(size, kernel, stride, padding, dilation):
    if size + 2 * padding < dilation * (kernel - 1) + 1:
        with pytest.raises(OptionError, match="at least"):
            output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
        return
    out = nn.Conv1d(1, 1, kernel, stride, padding, dilation)(torch.zeros(1, 1, size))
    assert output_size(size, kernel, stride=stride, padding=padding, dilation=dilation) == out.shape[-1]


@pytest.mark.parametrize("size", range(1, 9))
def test_output_size_of_a_pool_that_keeps_the_last_window_is_what_the_pool_gives(size):
    out = nn.MaxPool1d(2, ceil_mode=True)(torch.zeros(1, 1, size))
    assert output_size(size, 2, stride=2, ceil=True) == out.shape[-1]


def test_an_input_smaller_than_the_filter_is_refused_with_the_smallest_size():
    with pytest.raises(OptionError, match="at least 5 positions for a filter of 5, got 4"):
        output_size(4, 5)


# the spec


def test_a_spec_survives_json():
    spec = small(3, kind="plain", depth=1, depth_padding="replicate", classes=4)
    assert ConvNetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dim": 4}, "1, 2 or 3"),
        ({"kernel": 4}, "odd kernel"),
        ({"kind": "dense"}, "plain, residual"),
        ({"widths": ()}, "one or more widths"),
        ({"dim": 2, "head": "gru"}, "dim 1"),
        ({"dim": 2, "depth": 3}, "only with dim 3"),
        ({"encoding": 0}, "encoding of at least 1"),
        ({"dropout": 1.0}, "dropout in"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(changes, text):
    with pytest.raises(OptionError, match=text):
        small(**{"dim": 1, **changes})


def test_an_unknown_key_of_an_architecture_is_named():
    with pytest.raises(OptionError, match="got colour"):
        ConvNetSpec.from_dict({"dim": 1, "colour": 3})


# the network


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_encodings_are_unit_vectors_by_default(dim, kind):
    f = seeded(small(dim, kind=kind))(rand(3, 2, *SIZES[dim]))
    assert f.shape == (3, 12)
    assert torch.allclose(f.norm(dim=1), torch.ones(3), atol=1e-6)
    assert ConvNetSpec(dim=1).encoding == 128


def test_without_normalisation_the_encoding_is_the_raw_one():
    net = seeded(small(1, normalise=False))
    x = rand(3, 2, 20)
    assert torch.equal(net(x), net(x, "raw"))
    assert torch.allclose(seeded(small(1))(x), unit(net(x, "raw")))


CASES = [
    *[small(dim, kind=kind, blocks=2, classes=3) for dim in (1, 2, 3) for kind in ("plain", "residual")],
    small(1, norm="none", classes=3),
    small(1, norm="layer", classes=3),
    small(1, head="gru", classes=3),
    small(1, head="transformer", classes=3),
    small(1, extras=3, classes=3),
    small(2, cells=3, stride=2, classes=3),
    small(3, depth=1, depth_padding="replicate", classes=3),
]


@pytest.mark.parametrize("spec", CASES, ids=repr)
def test_gradients_reach_every_parameter(spec):
    net = seeded(spec).train()
    extras = rand(4, 3, seed=2) if spec.extras else None
    net(rand(4, 2, *SIZES[spec.dim]), "logits", extras=extras).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    net.zero_grad(set_to_none=True)
    f = net(rand(4, 2, *SIZES[spec.dim]), extras=extras)
    (f @ rand(12, seed=3)).sum().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert without == {"classifier.weight", "classifier.bias"}


def test_the_encoding_is_not_rectified():
    f = seeded(small(2))(rand(8, 2, 13, 10))
    assert (f < 0).any()
    assert (f > 0).any()


@pytest.mark.parametrize("head", ["pool", "gru", "transformer"])
@pytest.mark.parametrize("length", [1, 2, 5, 64, 101])
def test_signals_of_any_length_are_encoded(head, length):
    assert seeded(small(1, head=head))(rand(2, 2, length)).shape == (2, 12)


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_every_stage_after_the_first_halves_the_size_rounding_up(kind):
    net = seeded(small(2, widths=(8, 8, 16), kind=kind))
    assert net(rand(1, 2, 13, 10), "features").shape == (1, 16, 4, 3)


def test_a_batch_gives_what_its_parts_give():
    # No batch statistics: the reason why two processes have the single one's gradient.
    net = seeded(small(2)).train()
    x = rand(6, 2, 13, 10)
    assert torch.allclose(net(x), torch.cat([net(x[:2]), net(x[2:])]), atol=1e-6)


def test_a_recurrent_head_sees_the_order_of_what_happens():
    x = rand(1, 2, 40)
    for head in ("gru", "transformer"):
        net = seeded(small(1, head=head, kernel=1, widths=(8,)))
        assert not torch.allclose(net(x), net(x.flip(-1)), atol=1e-3)
    # Filters of one sample and a mean over time cannot tell forwards from backwards.
    blind = seeded(small(1, kernel=1, widths=(8,)))
    assert torch.allclose(blind(x), blind(x.flip(-1)), atol=1e-5)


def test_the_classifier_stands_on_the_raw_encoding():
    net = seeded(small(1, classes=5))
    x = rand(3, 2, 20)
    assert torch.allclose(net(x, "logits"), net.classifier(net(x, "raw")))


def test_logits_of_a_network_without_classes_are_refused():
    with pytest.raises(OptionError, match="classes=0"):
        seeded(small(1))(rand(1, 2, 9), "logits")


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 3, 9, 9), (0, 2, 9, 9)])
def test_a_batch_of_another_dimension_or_channels_is_refused(shape):
    with pytest.raises(OptionError, match=r"shape \(B, 2, H, W\), got"):
        seeded(small(2))(torch.zeros(shape))


def test_missing_numbers_beside_the_input_are_refused():
    with pytest.raises(OptionError, match="Expected 3 numbers beside each input, got 0"):
        seeded(small(1, extras=3))(rand(1, 2, 9))


# the safe normalisation


def test_unit_has_norm_one_down_to_a_millionth():
    f = rand(4, 128, dtype=torch.float64)
    for factor in (1e-5, 1.0, 1e5):
        assert torch.allclose(unit(f * factor).norm(dim=1), torch.ones(4, dtype=torch.float64), atol=1e-12)


def test_unit_of_zero_is_zero_with_a_finite_gradient():
    f = torch.zeros(2, 8, requires_grad=True)
    out = unit(f)
    out.sum().backward()
    assert torch.equal(out, torch.zeros(2, 8))
    assert torch.isfinite(f.grad).all()


def test_gradient_of_unit_is_right():
    assert torch.autograd.gradcheck(unit, rand(3, 5, dtype=torch.float64).requires_grad_())


# the dimensions agree


@pytest.mark.parametrize("kind", ["plain", "residual"])
@pytest.mark.parametrize("dim", [2, 3])
def test_a_signal_laid_out_as_a_picture_or_a_volume_of_one_line_has_the_signals_encoding(dim, kind):
    spec = small(1, kind=kind, blocks=2, widths=(8, 16, 16))
    line = seeded(spec, dtype=torch.float64)
    wide = seeded(dataclasses.replace(spec, dim=dim), dtype=torch.float64)
    state = {}
    for name, weight in line.state_dict().items():
        if weight.dim() == 3:  # the filter's middle line; the others meet only padding
            full = torch.zeros(wide.state_dict()[name].shape, dtype=weight.dtype)
            full[(..., *[s // 2 for s in full.shape[2:-1]], slice(None))] = weight
            weight = full
        state[name] = weight
    wide.load_state_dict(state)
    x = rand(3, 2, 21, dtype=torch.float64)
    assert torch.allclose(wide(x.view(3, 2, *[1] * (dim - 1), 21)), line(x), atol=1e-12)


# inflation


@pytest.mark.parametrize("kind", ["plain", "residual"])
@pytest.mark.parametrize("depth", [1, 3, 5])
@pytest.mark.parametrize("cells", [1, 2])
def test_an_inflated_net_has_the_frames_features_in_every_frame_of_a_static_clip(kind, depth, cells):
    spec = small(2, kind=kind, blocks=2, cells=cells)
    net = seeded(spec, dtype=torch.float64)
    inflated, state = inflate(spec, net.state_dict(), depth)
    deep = ConvNet(inflated).double()
    deep.load_state_dict(state)
    frame = rand(2, 2, 13, 10, dtype=torch.float64)
    clip = frame.unsqueeze(2).expand(-1, -1, 6, -1, -1)
    flat, features = net(frame, "features"), deep(clip, "features")
    assert features.shape[2] == 3
    for t in range(3):  # the first and the last frame as well
        assert torch.allclose(features[:, :, t], flat, atol=1e-12)
    assert torch.allclose(deep(clip), net(frame), atol=1e-12)


def test_an_inflated_filter_is_copies_divided_by_their_number():
    spec = small(2)
    net = seeded(spec)
    _, state = inflate(spec, net.state_dict(), 3)
    for t in range(3):
        assert torch.equal(state["stem.0.weight"][:, :, t], net.state_dict()["stem.0.weight"] / 3)


def test_zero_padding_in_time_would_change_the_first_frame():
    spec = small(2)
    net = seeded(spec)
    inflated, state = inflate(spec, net.state_dict(), 3)
    zeros = ConvNet(dataclasses.replace(inflated, depth_padding="zeros"))
    zeros.load_state_dict(state)
    frame = rand(1, 2, 13, 10)
    clip = frame.unsqueeze(2).expand(-1, -1, 6, -1, -1)
    assert not torch.allclose(zeros(clip, "features")[:, :, 0], net(frame, "features"), atol=1e-2)


def test_only_a_2d_net_is_inflated_and_only_to_an_odd_depth():
    with pytest.raises(OptionError, match="2D network"):
        inflate(small(1), {}, 3)
    with pytest.raises(OptionError, match="odd depth"):
        inflate(small(2), {}, 2)
