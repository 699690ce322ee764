"""Projections: numbers worked by hand, an independent unpool–relu–transposed-filter chain, and crops against wholes."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mien.backbones.features import ModuleBackbone
from mien.errors import OptionError
from mien.visualize import deconvnet
from mien.visualize.deconvnet import Seed, as_picture, filters, project, project_one
from mien.visualize.rules import ReluRule
from mien.visualize.top_patches import crop, find_top_patches

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def deep(dims=2, seed=0, channels=2):
    """Two convolutions and a pooling, twice; biases are not zero."""
    torch.manual_seed(seed)
    conv, pool = CONVS[dims - 1], POOLS[dims - 1]
    return nn.Sequential(
        *(conv(channels, 4, 3, padding=1), nn.ReLU(), conv(4, 4, 3, padding=1), nn.ReLU(inplace=True), pool(2)),
        *(conv(4, 6, 3, padding=1), nn.ReLU(inplace=True), pool(2), conv(6, 5, 3, padding=1), nn.ReLU()),
    )


def data(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def strongest(net, image, layer):
    """Unit and position of a layer's strongest activation."""
    out = ModuleBackbone(net, name="net")(image.unsqueeze(0), [layer])[layer][0]
    unit, *position = (int(i) for i in torch.unravel_index(out.argmax(), out.shape))
    return unit, tuple(position)


def chain(net, image, unit, position, dims):
    """Zeiler & Fergus by hand: forward with switches, then unpool, rectify and transposed filters down to the input."""
    max_pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
    unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[dims - 1]
    transpose = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
    x, switches, shapes = image.unsqueeze(0), {}, {}
    with torch.no_grad():
        for i, layer in enumerate(net):
            shapes[i] = x.shape[2:]
            if isinstance(layer, POOLS):
                x, switches[i] = max_pool(x, 2, return_indices=True)
            else:
                x = layer(x.clone())
        down = torch.zeros_like(x)
        down[(0, unit, *position)] = x[(0, unit, *position)]
        for i, layer in reversed(list(enumerate(net))):
            if isinstance(layer, POOLS):
                down = unpool(down, switches[i], 2, output_size=shapes[i])
            elif isinstance(layer, nn.ReLU):
                down = F.relu(down)
            else:
                down = transpose(down, layer.weight, padding=1)
    return down[0]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_deconvnet_equals_an_independent_chain(dims):
    net, image = deep(dims), data(2, *(13, 14, 15)[:dims])
    unit, position = strongest(net, image, "9")
    expected = chain(net, image, unit, position, dims)
    assert expected.abs().max() > 1e-4
    found = project_one(net, image, layer="9", unit=unit, position=position)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


# A signal (1, 3) through filters of width 1: two maps, ReLU, a third filter over both, ReLU.
# Maps before ReLU: (2, -1, 3) and (-2, 1, -3). Out = relu(map one) - 2 relu(map two), plus a bias of 4: (6, 2, 7).
def by_hand():
    net = nn.Sequential(nn.Conv1d(1, 2, 1, bias=False), nn.ReLU(), nn.Conv1d(2, 1, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[[1.0]], [[-1.0]]]))
        net[2].weight.copy_(torch.tensor([[[1.0], [-2.0]]]))
        net[2].bias.fill_(4)
    return net


@pytest.mark.parametrize(
    ("method", "position", "expected"),
    [
        # Position 0: activation 6. Down to the maps: 6 and -12. The second is negative, and its forward was off.
        ("gradient", 0, [6.0, 0.0, 0.0]),
        ("deconvnet", 0, [6.0, 0.0, 0.0]),
        ("guided", 0, [6.0, 0.0, 0.0]),
        # Position 1: activation 2. Maps get 2 and -4; forward the first was off, the second on.
        ("gradient", 1, [0.0, 4.0, 0.0]),
        ("deconvnet", 1, [0.0, 2.0, 0.0]),
        ("guided", 1, [0.0, 0.0, 0.0]),
    ],
)
def test_the_three_rules_on_numbers_worked_by_hand(method, position, expected):
    image = torch.tensor([[2.0, -1.0, 3.0]])
    found = project_one(by_hand(), image, layer="3", unit=0, position=[position], method=method)
    assert found[0].tolist() == expected


class Spelled(nn.Module):
    def __init__(self, relu):
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two, self.end = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), nn.Identity()
        self.relu = relu

    def forward(self, x):
        return self.end(self.relu(self.two(self.relu(self.one(x)))))


def as_method(x):
    x.relu_()
    return x


SPELLINGS = {
    "in place": nn.ReLU(inplace=True),
    "functional": F.relu,
    "functional in place": lambda x: F.relu(x, inplace=True),
    "functional, underscore": F.relu_,
    "torch": torch.relu,
    "torch, underscore": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place, result not used": as_method,
    "clamp": lambda x: x.clamp(min=0),
    "clamp in place": lambda x: x.clamp_(0),
    "clamp_min": lambda x: torch.clamp_min(x, 0.0),
    "threshold": nn.Threshold(0.0, 0.0),
    "relu6, below its ceiling": nn.ReLU6(),
}


@pytest.mark.parametrize("method", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_obeys_the_rule_also_used_twice(spelling, method):
    image = data(2, 9, 9)
    plain, spelled = Spelled(nn.ReLU()), Spelled(SPELLINGS[spelling])
    unit, position = strongest(plain, image, "end")
    where = {"layer": "end", "unit": unit, "position": position, "method": method}
    torch.testing.assert_close(project_one(spelled, image, **where), project_one(plain, image, **where))


def test_the_rules_differ_where_they_should():
    net, image = deep(), data(2, 16, 16)
    unit, position = strongest(net, image, "9")
    found = [
        project_one(net, image, layer="9", unit=unit, position=position, method=m)
        for m in ("deconvnet", "guided", "gradient")
    ]
    for i in range(3):
        assert (found[i] - found[i - 1]).abs().max() > 1e-4


def test_other_clamps_and_leaky_relu_keep_their_gradient():
    class Clamped(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.end = nn.Conv1d(1, 1, 1, bias=False), nn.Identity()

        def forward(self, x):
            return self.end(F.leaky_relu(-x.clamp(min=-5, max=5), 0.1) + 0 * self.one(x))

    found = project_one(Clamped(), torch.tensor([[2.0, -2.0]]), layer="end", unit=0, position=[0], start=1.0)
    assert found.tolist() == [[pytest.approx(-0.1), 0.0]]


@pytest.mark.parametrize("method", ["deconvnet", "guided", "gradient"])
def test_a_projection_is_homogeneous_in_its_start(method):
    net, image = deep(), data(2, 16, 16)
    unit, position = strongest(net, image, "9")
    where = {"layer": "9", "unit": unit, "position": position, "method": method}
    one = project_one(net, image, start=1.0, **where)
    torch.testing.assert_close(project_one(net, image, start=3.5, **where), 3.5 * one)
    activation = float(ModuleBackbone(net, name="net")(image.unsqueeze(0), ["9"])["9"][(0, unit, *position)])
    torch.testing.assert_close(project_one(net, image, **where), activation * one)


def test_overlapping_pooling_sums_what_meets_at_a_shared_maximum():
    # Windows (1, 9, 2), (2, 4, 9): pool 3/2 over 1 9 2 4 9 … here both windows of 3 share the 9 in the middle.
    net = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.MaxPool1d(3, 2), nn.Conv1d(1, 1, 2, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[2].weight.copy_(torch.tensor([[[1.0, 10.0]]]))
    found = project_one(net, torch.tensor([[1.0, 2.0, 9.0, 4.0, 5.0]]), layer="2", unit=0, position=[0], start=1.0)
    assert found.tolist() == [[0.0, 0.0, 11.0, 0.0, 0.0]]


# many seeds


def everywhere(net, layer, images):
    """Seeds at all four corners, edges and middles of every image's map, of changing units."""
    seeds = []
    for index, image in images.items():
        shape = ModuleBackbone(net, name="net")(image.unsqueeze(0), [layer])[layer].shape
        grid = torch.cartesian_prod(
            *[torch.tensor(sorted({0, 1, n // 2, n - 1} if len(shape) < 5 else {0, n - 1})) for n in shape[2:]]
        )
        for number, position in enumerate(grid.reshape(-1, len(shape) - 2).tolist()):
            seeds.append(Seed(index, number % shape[1], tuple(position)))
    return seeds


@pytest.fixture
def apart(monkeypatch):
    """Every seed runs on its own crop, also where one forward pass for several would be cheaper."""
    monkeypatch.setattr(deconvnet, "_sharing_pays", lambda *_: False)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("batch_positions", [1, 10**9], ids=["one by one", "in one batch"])
@pytest.mark.parametrize("method", ["deconvnet", "gradient"])
@pytest.mark.parametrize(
    ("dims", "sizes"), [(1, [(60,), (43,)]), (2, [(40, 37), (40, 37), (26, 51)]), (3, [(12, 15, 13)])]
)
def test_crops_give_what_the_whole_image_gives_also_over_the_edge(dims, sizes, method, batch_positions):
    net = deep(dims)
    images = {10 + i: data(2, *size, seed=i) for i, size in enumerate(sizes)}
    for layer in ("1", "6", "9"):
        seeds = everywhere(net, layer, images)
        found = dict(project(net, images.get, seeds, layer=layer, method=method, batch_positions=batch_positions))
        assert sorted(found) == list(range(len(seeds)))
        for number, seen in list(found.items())[:: 1 if dims == 1 else 3]:
            seed = seeds[number]
            whole = project_one(
                net, images[seed.image], layer=layer, unit=seed.unit, position=seed.position, method=method
            )
            torch.testing.assert_close(seen.pixels, crop(whole, seen.box, fill=0), rtol=1e-5, atol=1e-6)
            assert seen.seed == seed
            # Nothing lies outside the box.
            assert float(whole.abs().sum()) == pytest.approx(float(seen.pixels.abs().sum()), rel=1e-4, abs=1e-6)


def test_many_seeds_of_one_image_share_its_forward_pass_and_stay_the_same():
    net, image = deep(), data(2, 24, 24)
    calls = []
    net[0].register_forward_hook(lambda *_: calls.append(1))
    seeds = [Seed(0, unit, (y, x)) for unit in range(5) for y in (1, 3) for x in (2, 4)]
    found = dict(project(net, lambda _: image, seeds, layer="9"))
    assert len(calls) == 2  # one to measure the receptive field, one for all seeds
    for number, seen in found.items():
        whole = project_one(net, image, layer="9", unit=seeds[number].unit, position=seeds[number].position)
        torch.testing.assert_close(seen.pixels, crop(whole, seen.box, fill=0), rtol=1e-5, atol=1e-6)


class Strided(nn.Module):
    """Overlapping pooling, strides, dilation, ceil mode and a residual branch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.one = nn.Conv2d(3, 4, 7, stride=2, padding=2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2)
        self.short, self.norm, self.end = nn.Conv2d(4, 4, 1, stride=2), nn.BatchNorm2d(4), nn.ReLU()

    def forward(self, x):
        x = self.pool(F.relu(self.one(x)))
        return self.end(self.norm(self.b(F.relu(self.a(x), inplace=True))) + self.short(x))


@pytest.mark.usefixtures("apart")
def test_crops_hold_with_strides_overlapping_pooling_and_branches():
    net, images = Strided(), {0: data(3, 81, 90), 1: data(3, 64, 77)}
    seeds = everywhere(net, "end", images)
    for number, seen in project(net, images.get, seeds, layer="end"):
        seed = seeds[number]
        whole = project_one(net, images[seed.image], layer="end", unit=seed.unit, position=seed.position)
        torch.testing.assert_close(seen.pixels, crop(whole, seen.box, fill=0), rtol=1e-5, atol=1e-6)


def test_a_layer_that_sees_everything_is_projected_on_the_whole_image():
    net = nn.Sequential(*deep(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    images = {0: data(2, 16, 16), 1: data(2, 16, 16, seed=2)}
    found = dict(project(net, images.get, [Seed(0, 1, ()), Seed(1, 2, ())], layer="12"))
    assert found[1].box == ((0, 16), (0, 16))
    torch.testing.assert_close(found[1].pixels, project_one(net, images[1], layer="12", unit=2, position=()))


@pytest.mark.usefixtures("apart")
def test_vgg19_crops_give_what_the_whole_picture_gives(vgg19, picture):
    images = {0: picture(72, 96)[0], 1: picture(80, 64, seed=1)[0]}
    for layer, positions in (("relu2_1", [(0, 0), (17, 20)]), ("relu4_1", [(4, 4), (8, 7)])):
        seeds = [Seed(image, unit, position) for image in images for unit in (3, 40) for position in positions]
        for number, seen in project(vgg19, images.get, seeds, layer=layer):
            seed = seeds[number]
            whole = project_one(vgg19, images[seed.image], layer=layer, unit=seed.unit, position=seed.position)
            scale = max(float(whole.abs().max()), 1e-12)
            torch.testing.assert_close(seen.pixels / scale, crop(whole, seen.box, fill=0) / scale, rtol=0, atol=1e-5)


def test_the_seeds_of_a_table_have_its_activations():
    net = deep()
    images = {i: data(2, 20, 20, seed=i) for i in range(12)}
    top = find_top_patches(net, images.items(), ["6"], top=3)
    seeds = top.seeds("6")
    table = top.layer("6")
    for number, seen in project(net, images.get, seeds, layer="6"):
        values = table.values[seeds[number].unit]
        assert min(abs(values - seen.activation)) < 1e-4 * seen.activation


# the net is as it was


def state(net):
    return [
        (m.training, len(m._forward_hooks), len(m._backward_hooks), getattr(m, "inplace", None)) for m in net.modules()
    ], [(p.requires_grad, p.grad, p.clone()) for p in net.parameters()]


def same_state(a, b):
    assert a[0] == b[0]
    for (learns_a, grad_a, p_a), (learns_b, grad_b, p_b) in zip(a[1], b[1], strict=True):
        assert learns_a == learns_b
        assert (grad_a is None and grad_b is None) or torch.equal(grad_a, grad_b)
        assert torch.equal(p_a, p_b)


def test_the_net_is_untouched_and_trains_on():
    net = deep().train()
    net[0].weight.requires_grad_(False)
    net(data(1, 2, 16, 16)).sum().backward()
    before = state(net)
    image = data(2, 16, 16)
    project_one(net, image, layer="9", unit=0, position=(1, 1))
    list(project(net, lambda _: image, [Seed(0, 0, (1, 1))], layer="9"))
    same_state(before, state(net))


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.end = nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Identity()
        self.fails = True

    def forward(self, x):
        x = self.relu(self.conv(x))
        if self.fails:
            raise ValueError("no such weather")
        return self.end(x)


def test_the_net_and_relu_are_untouched_after_an_exception():
    net = Failing().train()
    before = state(net)
    with pytest.raises(OptionError, match=r"Expected Failing to run on data of shape \(2, 8, 8\).*no such weather"):
        project_one(net, data(2, 8, 8), layer="end", unit=0, position=(0, 0))
    same_state(before, state(net))
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    F.relu(x).backward(torch.tensor([5.0, -5.0]))
    assert x.grad.tolist() == [0.0, -5.0]  # deconvnet would have given 5 and 0


def test_an_abandoned_iteration_leaves_nothing_behind(monkeypatch):
    net, image = deep().train(), data(2, 16, 16)
    for share in (True, False):
        monkeypatch.setattr(deconvnet, "_sharing_pays", lambda *_, share=share: share)
        with torch.no_grad():
            for _ in project(net, lambda _: image, [Seed(0, 0, (0, 0)), Seed(0, 1, (3, 3))], layer="6"):
                assert net.training
                assert not torch.is_grad_enabled()
                break
    assert torch.is_grad_enabled()
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    F.relu(x).backward(torch.tensor([5.0, -5.0]))
    assert x.grad.tolist() == [0.0, -5.0]


def test_only_this_thread_sees_the_rule():
    grads = {}

    def backprop(name):
        x = torch.tensor([-1.0, 2.0], requires_grad=True)
        F.relu(x).backward(torch.tensor([5.0, -5.0]))
        grads[name] = x.grad.tolist()

    with ReluRule("deconvnet"):
        other = threading.Thread(target=backprop, args=["other"])
        other.start()
        other.join()
        backprop("this")
    backprop("after")
    assert grads == {"other": [0.0, -5.0], "this": [5.0, 0.0], "after": [0.0, -5.0]}


def test_it_works_where_gradients_are_off():
    net, image = deep(), data(2, 16, 16)
    expected = project_one(net, image, layer="6", unit=0, position=(2, 2))
    with torch.no_grad():
        torch.testing.assert_close(project_one(net, image, layer="6", unit=0, position=(2, 2)), expected)
    with torch.inference_mode():
        torch.testing.assert_close(project_one(net, image.clone(), layer="6", unit=0, position=(2, 2)), expected)


# drawn


def test_zero_is_drawn_mid_grey_and_signs_keep_their_sides():
    assert as_picture(torch.tensor([-2.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 0.75]
    assert as_picture(torch.tensor([-2.0, 0.0, 1.0]), peak=1.0).tolist() == [0.0, 0.5, 1.0]
    assert as_picture(torch.zeros(3)).tolist() == [0.5] * 3
    # 1, 2, …, 200 and many zeros: all above 199 is white.
    drawn = as_picture(torch.cat([torch.arange(1.0, 201.0), torch.zeros(1000)]))
    assert drawn[:200].tolist() == pytest.approx([min(1.0, 0.5 + i / 398) for i in range(1, 201)], abs=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_first_layer_filters_are_the_weights(dims):
    net = deep(dims)
    torch.testing.assert_close(filters(net, data(1, 2, *(9,) * dims), "0"), net[0].weight.detach())


def test_vgg19_filters_are_in_rgb(vgg19):
    found = filters(vgg19, torch.zeros(1, 3, 16, 16), "conv1_1")
    bgr = vgg19._tensors["conv1_1"][0]
    torch.testing.assert_close(found, bgr.flip(1) * 255, rtol=1e-4, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_cannot_be_is_refused_with_a_sentence():
    net, image = deep(), data(2, 16, 16)
    with pytest.raises(OptionError, match="Expected the method deconvnet, guided or gradient, got 'magic'"):
        project_one(net, image, layer="9", unit=0, position=(0, 0), method="magic")
    with pytest.raises(OptionError, match=r"Expected a unit and position within \(5, 4, 4\) at '9', got unit 5"):
        project_one(net, image, layer="9", unit=5, position=(0, 0))
    with pytest.raises(OptionError, match=r"got unit 0 at \(0, 4\)"):
        project_one(net, image, layer="9", unit=0, position=(0, 4))
    scripted = torch.jit.trace(deep().eval(), data(1, 2, 16, 16))
    with pytest.raises(OptionError, match="got a TorchScript one, whose ReLUs cannot be seen"):
        project_one(scripted, image, layer="9", unit=0, position=(0, 0))
