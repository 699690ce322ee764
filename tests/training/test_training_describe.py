"""The table of layers: parameters as the network has them, multiply-adds as counted by hand."""

import pytest
import torch

from mien.backbones.convnet import ConvNet, ConvNetSpec
from mien.training.describe import describe, table

SPECS = [
    (ConvNetSpec(dim=1, channels=2, kernel=7, classes=5), (200,)),
    (ConvNetSpec(dim=2, channels=3, kind="plain", blocks=2), (33, 20)),
    (ConvNetSpec(dim=2, cells=4, stride=2, norm="none"), (112, 92)),
    (ConvNetSpec(dim=3, widths=(8, 16), depth=1, depth_padding="replicate"), (9, 12, 11)),
    (ConvNetSpec(dim=1, head="gru"), (50,)),
    (ConvNetSpec(dim=1, head="transformer", extras=2, classes=3), (50,)),
]


@pytest.mark.parametrize(("spec", "size"), SPECS, ids=repr)
def test_parameters_add_up_to_the_networks(spec, size):
    rows = describe(spec, size)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in ConvNet(spec).parameters())
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize(("spec", "size"), SPECS[:4], ids=repr)
def test_the_last_maps_have_the_size_that_the_network_gives(spec, size):
    features = ConvNet(spec)(torch.zeros(1, spec.channels, *size), "features")
    before = [row for row in describe(spec, size) if row.name.startswith(("stem", "stages"))]
    assert before[-1].output == tuple(features.shape[1:])


def test_multiply_adds_of_a_plain_2d_net_by_hand():
    rows = describe(ConvNetSpec(dim=2, channels=3, kind="plain", widths=(16, 32), kernel=5, classes=7), (14, 10))
    found = {row.name: (row.output, row.parameters, row.multiply_adds) for row in rows}
    assert found["stem.0"] == ((16, 14, 10), 16 * 3 * 25, 14 * 10 * 16 * 3 * 25)
    assert found["stem.1"] == ((16, 14, 10), 32, 0)
    assert found["stages.1.0"] == ((16, 7, 5), 0, 0)
    assert found["stages.1.1"] == ((32, 7, 5), 32 * 16 * 25, 7 * 5 * 32 * 16 * 25)
    assert found["head"] == ((32, 1, 1), 0, 0)
    assert found["embed"] == ((128,), 32 * 128 + 128, 32 * 128)
    assert found["classifier"] == ((7,), 128 * 7 + 7, 128 * 7)
    assert len(rows) == 10
    assert sum(m for _, _, m in found.values()) == 168_000 + 448_000 + 4_096 + 896


def test_multiply_adds_of_a_3d_filter_are_its_length_times_those_of_a_2d_one():
    flat = describe(ConvNetSpec(dim=2, widths=(8,)), (6, 6))[0]
    deep = describe(ConvNetSpec(dim=3, widths=(8,)), (4, 6, 6))[0]
    assert deep.multiply_adds == flat.multiply_adds * 3 * 4
    assert deep.parameters == flat.parameters * 3


def test_multiply_adds_of_a_gru_and_of_attention_by_hand():
    gru = describe(ConvNetSpec(dim=1, widths=(16,), head="gru"), (30,))
    # Both ways, 30 steps, three gates of 8 from 16 inputs and 8 states.
    assert next(r for r in gru if r.kind.startswith("GRU")).multiply_adds == 2 * 30 * 3 * 8 * (16 + 8)
    attention = describe(ConvNetSpec(dim=1, widths=(16,), head="transformer"), (30,))
    found = {row.name: row.multiply_adds for row in attention}
    assert {row.output for row in attention if row.name.startswith("head.")} == {(16, 30), (48, 30), (32, 30)}
    assert found["head.mixed"] == 30 * 16 * 48
    assert found["head.attention"] == 2 * 30 * 30 * 16


def test_the_table_has_a_line_for_each_layer_and_the_sums():
    rows = describe(ConvNetSpec(dim=2, channels=3, widths=(16,)), (14, 14))
    lines = table(rows).splitlines()
    assert len(lines) == len(rows) + 4
    assert "16 filters of 3×3" in lines[2]
    assert "16 × 14 × 14" in lines[2]
    assert lines[-1].split()[0] == "total"
    assert lines[-1].split()[1:] == [
        f"{sum(r.parameters for r in rows):,}",
        f"{sum(r.multiply_adds for r in rows):,}",
    ]
    assert len({len(line) for line in lines}) == 1


def test_a_large_volume_is_described_without_computing_it():
    rows = describe(ConvNetSpec(dim=3, widths=(64, 128)), (512, 512, 512))
    assert rows[0].multiply_adds == 512**3 * 64 * 27
