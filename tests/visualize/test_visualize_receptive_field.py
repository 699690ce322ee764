"""Receptive fields: published values, boxes worked by hand, and the support of the gradient on real nets."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mien.errors import OptionError
from mien.visualize.networks import feature_layers
from mien.visualize.receptive_field import Axis, receptive_fields


def sizes(fields):
    return {layer: tuple(axis.size for axis in field.axes) for layer, field in fields.items()}


def strides(fields):
    return [field.axes[0].stride for field in fields.values()]


def alexnet():
    layers = [nn.Conv2d(3, 4, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(4, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)]
    return nn.Sequential(*layers, nn.MaxPool2d(3, 2))


def zfnet():
    layers = [nn.Conv2d(3, 4, 7, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    layers += [nn.Conv2d(4, 4, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    layers += [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)]
    return nn.Sequential(*layers, nn.MaxPool2d(3, 2))


def test_alexnet_has_the_published_sizes_and_strides():
    fields = receptive_fields(alexnet(), torch.zeros(1, 3, 224, 224), ["0", "3", "6", "7", "8", "9"])
    assert [size[0] for size in sizes(fields).values()] == [11, 51, 99, 131, 163, 195]
    assert strides(fields) == [4, 8, 16, 16, 16, 32]


def test_zfnet_has_the_published_sizes_and_strides():
    fields = receptive_fields(zfnet(), torch.zeros(1, 3, 225, 225))
    assert [size[0] for size in sizes(fields).values()] == [7, 7, 11, 27, 27, 43, 75, 107, 139, 171]
    assert strides(fields) == [2, 2, 4, 8, 8, 16, 16, 16, 16, 32]


def test_vgg19_is_read_through_its_functional_calls(vgg19):
    layers = ["conv1_1", "relu1_2", "pool1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "pool5"]
    fields = receptive_fields(vgg19, torch.zeros(1, 3, 32, 32), layers)
    assert [size[0] for size in sizes(fields).values()] == [3, 5, 6, 10, 24, 68, 156, 268]
    assert strides(fields) == [1, 1, 2, 2, 4, 8, 16, 32]


def test_a_box_worked_by_hand():
    # A convolution of 3 with padding 1, then pooling 2/2, then dilation 2: 3, 4, then 4 + (5 - 1) * 2 = 12 wide,
    # stride 2; the padding of 2 is worth 2 * 2 pixels, so position 0 begins at -1 - 4 = -5.
    net = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), nn.MaxPool1d(2), nn.Conv1d(1, 1, 3, padding=2, dilation=2))
    fields = receptive_fields(net, torch.zeros(1, 1, 40))
    assert fields["2"].axes == (Axis(size=12, stride=2, start=-5),)
    assert fields.box("2", [0]) == ((-5, 7),)
    assert fields.box("2", [6]) == ((7, 19),)


def test_axes_may_differ():
    net = nn.Sequential(nn.Conv3d(1, 2, (1, 3, 5), stride=(1, 2, 1), padding=(0, 1, 0)), nn.AvgPool3d((2, 1, 3)))
    axes = receptive_fields(net, torch.zeros(1, 1, 8, 16, 16))["1"].axes
    assert axes == (Axis(2, 2, 0), Axis(3, 2, -1), Axis(7, 3, 0))


@pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")
def test_same_padding_puts_the_odd_pixel_at_the_end():
    fields = receptive_fields(nn.Sequential(nn.Conv1d(1, 1, 4, padding="same")), torch.zeros(1, 1, 16))
    assert fields["0"].axes == (Axis(4, 1, -1),)


class Residual(nn.Module):
    """Two branches that meet; `short` is the second one."""

    def __init__(self, short, dims=2):
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        self.a = conv(2, 2, 3, stride=2, padding=1)
        self.b = conv(2, 2, 3, padding=1)
        self.short = short
        self.relu = nn.ReLU()
        self.end = nn.Identity()

    def forward(self, x):
        return self.end(self.relu(self.b(self.relu(self.a(x))) + self.short(x)))


def test_aligned_branches_keep_the_largest_window():
    fields = receptive_fields(Residual(nn.Conv2d(2, 2, 1, stride=2)), torch.zeros(1, 2, 16, 16))
    assert fields["short"].axes == (Axis(1, 2, 0),) * 2
    assert fields["end"].axes == (Axis(7, 2, -3),) * 2


@pytest.mark.parametrize(
    ("short", "words"),
    [
        (nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 2, stride=2)), "centres 0 and 0.5"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, stride=4), nn.ZeroPad2d(2)), "strides of 2 and 4"),
    ],
)
def test_unequal_branches_are_refused_and_the_rest_is_kept(short, words):
    fields = receptive_fields(Residual(short), torch.zeros(1, 2, 16, 16))
    with pytest.raises(OptionError, match=f"Expected branches of equal stride and centre before 'end', got {words}"):
        fields["end"]
    assert fields["b"].axes[0].size == 7
    assert fields.table()[-1]["size"] == "unequal branches"


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gate = nn.Conv2d(4, 4, 1)
        self.end = nn.Identity()

    def forward(self, x):
        x = self.conv(x)
        return self.end(x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True))))


def test_global_operations_see_everything():
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    fields = receptive_fields(head, torch.zeros(1, 3, 9, 12), ["0", "1", "3"])
    assert [fields[layer].everything for layer in ("0", "1", "3")] == [False, True, True]
    assert fields.box("3", [], [9, 12]) == ((0, 9), (0, 12))
    assert "adaptive_avg_pool2d" in fields["1"].note
    with pytest.raises(OptionError, match="Expected the input's size"):
        fields.box("3", [])
    assert receptive_fields(Squeeze(), torch.zeros(1, 3, 9, 9))["end"].everything


def test_padding_that_joins_both_ends_sees_everything():
    for mode, everything in (("circular", True), ("reflect", False)):
        net = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1, padding_mode=mode))
        assert receptive_fields(net, torch.zeros(1, 1, 9))["0"].everything == everything


def test_batch_normalisation_is_pointwise_in_evaluation():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(), nn.LeakyReLU()).train()
    assert not receptive_fields(net, torch.zeros(1, 3, 9, 9))["3"].everything
    assert receptive_fields(nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4)), torch.zeros(1, 3, 9, 9))[
        "1"
    ].everything


class Functional(nn.Module):
    """One ReLU used twice, functional pooling, slicing, padding and channels cut apart and joined again."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.end = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = F.pad(self.relu(self.one(x)), (1, 2, 3, 4))  # left 1, top 3
        left, right = x.chunk(2, dim=1)
        x = self.relu(self.two(torch.cat([right, left], 1)))
        return self.end(F.avg_pool2d(x, 2)[:, :, 1:, ::2])


def test_functional_calls_padding_slices_and_chunks_are_followed():
    axes = receptive_fields(Functional(), torch.zeros(1, 3, 20, 20))["end"].axes
    # Rows: 3 + 2 + 1 = 6 wide, begin at -3, and the first pooled row is dropped: -3 + 2 = -1. Columns: every other.
    assert axes == (Axis(6, 2, -1), Axis(6, 4, -1))


def positive(net):
    """All weights positive, so that no gradient cancels."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.abs() + 0.01)
    return net


def averaged(net):
    """Average instead of max pooling: a maximum passes its gradient to one place only."""
    kinds = {nn.MaxPool1d: nn.AvgPool1d, nn.MaxPool2d: nn.AvgPool2d, nn.MaxPool3d: nn.AvgPool3d}
    for name, child in net.named_children():
        if type(child) in kinds:
            setattr(net, name, kinds[type(child)](child.kernel_size, child.stride, child.padding))
    return net


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (alexnet(), (3, 280, 300)),
        (zfnet(), (3, 241, 225)),
        (Residual(nn.Conv2d(2, 2, 1, stride=2)), (2, 21, 24)),
        (nn.Sequential(nn.Conv1d(2, 3, 5, stride=2), nn.ReLU(), nn.MaxPool1d(3, 2), nn.Conv1d(3, 3, 3)), (2, 80)),
        (nn.Sequential(nn.Conv3d(1, 2, (3, 3, 1), padding=1), nn.MaxPool3d(2), nn.Conv3d(2, 2, 2)), (1, 12, 14, 16)),
    ],
    ids=["alexnet", "zfnet", "residual", "1d", "3d"],
)
def test_the_gradient_of_a_unit_in_the_middle_fills_its_box(net, shape):
    net = averaged(positive(net))
    x = torch.rand(1, *shape, requires_grad=True)
    out = net(x)
    middle = [extent // 2 for extent in out.shape[2:]]
    (grad,) = torch.autograd.grad(out[(0, 0, *middle)], x)
    lit = (grad[0].abs().sum(0) > 0).nonzero()
    support = tuple((int(a), int(b) + 1) for a, b in zip(lit.amin(0), lit.amax(0), strict=True))
    fields = receptive_fields(net, x.detach())
    assert support == fields.box(list(fields)[-1], middle)


def test_the_table_names_everything_as_text():
    rows = receptive_fields(alexnet(), torch.zeros(1, 3, 224, 224), ["3"]).table()
    assert rows == [{"layer": "3", "note": "", "size": "51 × 51", "stride": "8 × 8", "start": "-18 × -18"}]


def test_feature_layers_are_those_with_a_map_in_the_order_of_computation():
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert feature_layers(head, torch.zeros(1, 3, 8, 8)) == ("0", "1", "2")


def test_the_net_is_as_it_was():
    net = alexnet().train()
    receptive_fields(net, torch.zeros(1, 3, 224, 224))
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())


def test_what_cannot_be_is_refused_with_a_sentence():
    net = alexnet()
    with pytest.raises(OptionError, match=r"Expected a layer of Sequential .*got '77'"):
        receptive_fields(net, torch.zeros(1, 3, 224, 224), ["77"])
    with pytest.raises(OptionError, match=r"to run on data of shape \(1, 224, 224\), but it failed"):
        receptive_fields(net, torch.zeros(1, 1, 224, 224))
    with pytest.raises(OptionError, match="Expected Sequential to have convolutions"):
        receptive_fields(nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.ReLU()), torch.zeros(1, 3, 2, 2), ["2"])
    with pytest.raises(OptionError, match="Expected 2 indices of a position at '0'"):
        receptive_fields(net, torch.zeros(1, 3, 224, 224), ["0"]).box("0", [1])
