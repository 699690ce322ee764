"""Top patches: tables worked by hand, against a naive loop, and the same whatever the batches."""

import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.visualize.top_patches import TopPatches, crop, find_top_patches


def as_it_is(channels=1, dims=2):
    """A net whose layer `0` gives the input itself, and `1` its positive part."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](channels, channels, 1, bias=False)
    with torch.no_grad():
        conv.weight.zero_()
        for c in range(channels):
            conv.weight[c, c] = 1
    return nn.Sequential(conv, nn.ReLU())


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3))


def pictures(count=100, seed=0, sizes=((16, 16),)):
    generator = torch.Generator().manual_seed(seed)
    return [(i, torch.rand(3, *sizes[i % len(sizes)], generator=generator)) for i in range(count)]


def same(a, b):
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-4)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-4)
    np.testing.assert_array_equal(a.share, b.share)


def test_a_table_worked_by_hand():
    a = torch.tensor([[[1.0, 5.0], [4.0, 2.0]]])
    b = torch.tensor([[[-1.0, -3.0], [-2.0, -9.0]]])
    c = torch.tensor([[[0.0, 0.0], [3.0, 1.0]]])
    table = find_top_patches(as_it_is(), [(10, a), (11, b), (12, c)], ["0"], top=2).layer("0")
    assert table.values.tolist() == [[5.0, 3.0]]  # a's second best, 4, does not stand before c's best
    assert table.images.tolist() == [[10, 12]]
    assert table.positions.tolist() == [[[0, 1], [1, 0]]]
    assert table.maximum.tolist() == [5.0]
    assert table.mean.tolist() == pytest.approx([(5 - 1 + 3) / 3])
    assert table.share.tolist() == pytest.approx([2 / 3])
    assert table.dead.tolist() == [False]
    assert table.seen == 3


def test_ties_go_to_the_lowest_image_and_position_whatever_the_order_of_the_sizes():
    flat = torch.ones(1, 2, 2)
    wide = torch.ones(1, 2, 3)
    data = [(0, wide), (1, flat), (2, flat), (3, wide), (4, flat)]
    for batch in (1, 2, 5):
        table = find_top_patches(as_it_is(), data, ["1"], top=3, batch=batch).layer("1")
        assert table.images.tolist() == [[0, 1, 2]]
        assert table.positions.tolist() == [[[0, 0]] * 3]


def test_fewer_images_than_places_leave_empty_places():
    table = find_top_patches(as_it_is(), [(7, torch.ones(1, 2, 2))], ["1"], top=3).layer("1")
    assert table.images.tolist() == [[7, -1, -1]]
    assert np.isnan(table.values[0, 1:]).all()


def test_the_table_equals_a_naive_loop_over_images_and_units():
    net, data, k = small_net(), pictures(30, sizes=((16, 16), (12, 20))), 4
    table = find_top_patches(net, data, ["3"], top=k, batch=8).layer("3")
    with torch.no_grad():
        maps = {i: net(x.unsqueeze(0))[0] for i, x in data}
    for unit in range(8):
        best = sorted(((-float(m[unit].max()), i) for i, m in maps.items()))[:k]
        assert table.images[unit].tolist() == [i for _, i in best]
        np.testing.assert_allclose(table.values[unit], [-v for v, _ in best], rtol=1e-4)
        for value, image, place in zip(table.values[unit], table.images[unit], table.positions[unit], strict=True):
            assert float(maps[int(image)][(unit, *place)]) == pytest.approx(float(value), rel=1e-4)
        maxima = [float(m[unit].max()) for m in maps.values()]
        assert table.share[unit] == pytest.approx(np.mean([v > 0 for v in maxima]))
        assert table.mean[unit] == pytest.approx(np.mean(maxima), rel=1e-4)


def test_batch_size_does_not_change_the_tables():
    net, data = small_net(), pictures(100, sizes=((16, 16), (12, 20), (16, 16)))
    one = find_top_patches(net, data, ["1", "3"], batch=1)
    many = find_top_patches(net, data, ["1", "3"], batch=64)
    for layer in ("1", "3"):
        same(one.layer(layer), many.layer(layer))


def test_equal_images_stay_in_order_whatever_the_batches():
    net = small_net()
    originals = pictures(10)
    data = [(i, originals[i % 10][1]) for i in range(90)]
    for batch in (1, 7, 64):
        table = find_top_patches(net, data, ["3"], batch=batch).layer("3")
        # The nine best are the nine copies of the best image, each at the same place.
        assert (np.diff(table.images, axis=1) == 10).all()
        assert (table.images[:, 0] < 10).all()
        assert (table.positions == table.positions[:, :1]).all()


def test_all_layers_at_once_are_as_each_alone():
    net, data = small_net(), pictures(20)
    both = find_top_patches(net, data, ["0", "3"])
    for layer in ("0", "3"):
        same(both.layer(layer), find_top_patches(net, data, [layer]).layer(layer))


def test_signals_volumes_and_layers_without_a_map():
    signal = torch.tensor([[0.0, 2.0, 1.0]])
    assert find_top_patches(as_it_is(dims=1), [(0, signal)], ["1"]).layer("1").positions[0, 0].tolist() == [1]
    volume = torch.zeros(1, 2, 3, 4)
    volume[0, 1, 2, 3] = 1
    assert find_top_patches(as_it_is(dims=3), [(0, volume)], ["1"]).layer("1").positions[0, 0].tolist() == [1, 2, 3]
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    table = find_top_patches(head, pictures(3), ["3"], top=2).layer("3")
    assert table.positions.shape == (2, 2, 0)
    assert np.isfinite(table.values).all()


def test_dead_units_are_named_and_have_no_seeds():
    net = small_net()
    with torch.no_grad():
        net[3].bias.fill_(1)
        net[3].bias[2] = -100
    top = find_top_patches(nn.Sequential(*net, nn.ReLU()), pictures(10), ["4"])
    assert top.layer("4").dead.tolist() == [unit == 2 for unit in range(8)]
    assert top.layer("4").share[2] == 0
    assert top.seeds("4", unit=2) == []
    seeds = top.seeds("4", unit=1)
    assert [seed.image for seed in seeds] == top.layer("4").images[1].tolist()
    assert {seed.unit for seed in top.seeds("4")} == {0, 1, 3, 4, 5, 6, 7}


def test_an_interrupted_scan_keeps_what_it_has():
    top = TopPatches(["3"])

    def stop(seen):
        if seen == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_top_patches(small_net(), pictures(50), ["3"], batch=10, progress=stop, into=top)
    assert top.seen == top.layer("3").seen == 20
    same(top.layer("3"), find_top_patches(small_net(), pictures(20), ["3"]).layer("3"))


def test_an_interruption_within_a_batch_leaves_all_layers_at_the_same_image(monkeypatch):
    top = TopPatches(["0", "1"])
    maps = {"0": torch.ones(1, 2, 4), "1": torch.ones(1, 2, 4)}
    top.add([0], maps)
    grown = TopPatches._grown
    calls = []

    def second_fails(self, *args):
        calls.append(args[0])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return grown(self, *args)

    monkeypatch.setattr(TopPatches, "_grown", second_fails)
    with pytest.raises(KeyboardInterrupt):
        top.add([1], maps)
    assert calls == ["0", "1"]
    assert top.seen == 1
    assert [top.layer(layer).images[0, :2].tolist() for layer in ("0", "1")] == [[0, -1], [0, -1]]


def test_memory_is_of_k_values_a_unit_however_many_images():
    def held(count):
        top = find_top_patches(small_net(), pictures(count), ["0", "3"], top=9)
        tensors = [t for tally in top._state[1].values() for t in vars(tally).values()]
        return sum(t.untyped_storage().nbytes() for t in tensors)

    # 14 units: 9 values (4 bytes), images and two places (8 bytes each), and two sums.
    assert held(20) == held(60) == 14 * (9 * (4 + 8 + 16) + 16)


def test_inputs_of_many_sizes_do_not_pile_up():
    alive = []

    def many_sizes():
        for i, x in pictures(60, sizes=[(8 + i % 30, 9) for i in range(60)]):
            alive.append(i - top.seen)
            yield i, x

    top = TopPatches(["0"])
    find_top_patches(small_net(), many_sizes(), ["0"], batch=4, into=top)
    assert max(alive) <= 16
    assert top.seen == 60


def test_progress_is_told_the_images_seen():
    told = []
    find_top_patches(small_net(), pictures(25), ["0"], batch=10, progress=told.append)
    assert told == [10, 20, 25]


def test_the_net_is_as_it_was_and_trains_on():
    net = small_net().train()
    find_top_patches(net, pictures(3), ["3"])
    assert net.training
    assert net[3].training
    net(torch.rand(1, 3, 16, 16)).sum().backward()
    assert net[0].weight.grad is not None


def test_a_crop_is_exact_and_grey_over_the_edge():
    image = torch.arange(12.0).reshape(1, 3, 4)
    assert crop(image, ((1, 3), (1, 4))).tolist() == [[[5, 6, 7], [9, 10, 11]]]
    assert crop(image, ((-1, 1), (3, 6))).tolist() == [[[0.5, 0.5, 0.5], [3, 0.5, 0.5]]]
    assert crop(image, ((2, 5), (-2, 1)), fill=9).tolist() == [[[9, 9, 8], [9, 9, 9], [9, 9, 9]]]
    assert crop(image, ((5, 7), (0, 2))).tolist() == [[[0.5, 0.5], [0.5, 0.5]]]
    assert crop(image[0], ((-1, 2),), fill=0).tolist() == [[0, 0, 1], [0, 4, 5], [0, 8, 9]]


def test_what_cannot_be_is_refused_with_a_sentence():
    with pytest.raises(OptionError, match="Expected at least one image, got none"):
        find_top_patches(small_net(), [], ["3"])
    with pytest.raises(OptionError, match="Expected a layer of Sequential"):
        find_top_patches(small_net(), pictures(1), ["conv9"])
    with pytest.raises(OptionError, match="Expected at least one layer"):
        find_top_patches(small_net(), pictures(1), [])
    with pytest.raises(OptionError, match="Expected at least 1 patch a unit, got 0"):
        find_top_patches(small_net(), pictures(1), ["3"], top=0)
    with pytest.raises(OptionError, match=r"run on data of shape \(1, 8, 8\), but it failed: .*3 channels"):
        find_top_patches(small_net(), [(0, torch.rand(1, 8, 8))], ["3"])
    with pytest.raises(OptionError, match="Expected finite activations, got NaN or infinity at '3' for image 42"):
        find_top_patches(small_net(), [(41, torch.zeros(3, 8, 8)), (42, torch.full((3, 8, 8), torch.nan))], ["3"])
    with pytest.raises(OptionError, match="Expected tables of the layers 3, got 1"):
        find_top_patches(small_net(), pictures(1), ["3"], into=TopPatches(["1"]))
    with pytest.raises(OptionError, match="Expected a box with 2 spans"):
        crop(torch.zeros(3, 4, 4), ((0, 2),))
