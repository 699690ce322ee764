"""Named layers: VGG's table against real shapes, taps before ReLU, cut nets, hooks, preprocessing, any module."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mien import weights
from mien.backbones import load_backbone, vgg
from mien.backbones.features import ModuleBackbone, Preprocess, check_layers, load_custom
from mien.errors import OptionError, WeightsError, WeightsMismatch
from mien.weights import RECORDS, Input
from nets import seeded_net

DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# VGG: the table of layers


def test_layer_names_of_vgg19_are_sixteen_convolutions_their_relus_and_five_pools():
    names = vgg.layer_names("vgg19")
    assert names[:6] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1")
    assert names[-3:] == ("conv5_4", "relu5_4", "pool5")
    assert [sum(n.startswith(kind) for n in names) for kind in ("conv", "relu", "pool")] == [16, 16, 5]
    assert [sum(n.startswith(kind) for n in vgg.layer_names("vgg16")) for kind in ("conv", "relu", "pool")] == [
        13,
        13,
        5,
    ]


def test_every_layers_shape_is_its_blocks_channels_and_the_size_by_its_reduction(vgg19):
    found = vgg19(rand(2, 3, 64, 96), vgg19.layers)
    assert tuple(found) == vgg19.layers
    for layer, tap in found.items():
        side = vgg19.reduction(layer)
        assert tap.shape == (2, CHANNELS[int(layer[4]) - 1], 64 // side, 96 // side), layer


@pytest.mark.parametrize(
    ("layer", "pixels"), [("conv1_1", 1), ("relu1_2", 1), ("pool1", 2), ("relu4_2", 8), ("pool5", 32)]
)
def test_reduction_is_two_to_the_number_of_pools(vgg19, layer, pixels):
    assert vgg19.reduction(layer) == pixels


def test_an_unknown_layer_is_refused_with_the_nearest_name(vgg19):
    with pytest.raises(OptionError, match=r"layer of vgg19 \(conv1_1 … pool5\), got 'relu4-2'. Did you mean 'relu4_2'"):
        vgg19(rand(1, 3, 16, 16), ["relu1_1", "relu4-2"])
    with pytest.raises(OptionError, match="conv3_5"):
        vgg19.reduction("conv3_5")


def test_a_name_like_no_layer_is_refused_without_a_guess():
    with pytest.raises(OptionError) as error:
        check_layers(("conv1_1", "pool5"), ["§§§"], net="vgg19")
    assert "mean" not in str(error.value)


# VGG: taps


@pytest.mark.parametrize("others", [(), ("relu2_2",), ("relu3_1",), ("pool2", "relu2_2")])
def test_a_convolutions_tap_is_before_relu_whatever_else_is_asked(vgg19, others):
    x = rand(1, 3, 32, 32)
    found = vgg19(x, ("conv2_2", *others))
    alone = vgg19(x, ["conv2_2"])["conv2_2"]
    assert found["conv2_2"].min() < -1  # an in-place ReLU after it would have cut these off
    assert torch.equal(found["conv2_2"], alone)
    if "relu2_2" in others:
        assert torch.equal(found["relu2_2"], found["conv2_2"].clamp(min=0))


def test_a_layers_tap_does_not_depend_on_which_others_are_asked(vgg19):
    x = rand(1, 3, 32, 32)
    everything = vgg19(x, vgg19.layers)
    for layer in ("conv1_1", "relu1_2", "pool2", "conv3_4", "relu5_1"):
        torch.testing.assert_close(vgg19(x, [layer])[layer], everything[layer], rtol=1e-5, atol=1e-3)


def test_gradients_flow_to_the_picture_through_every_tap(vgg19):
    for layers in (["conv1_1"], ["conv1_1", "relu1_1"], ["relu1_1", "conv2_1", "relu3_1"]):
        x = rand(1, 3, 16, 16).requires_grad_()
        sum(tap.square().mean() for tap in vgg19(x, layers).values()).backward()
        assert x.grad.isfinite().all()
        assert x.grad.abs().max() > 0


def tiny_vgg(*layers):
    """A VGG with the kernels of these convolutions only, four channels each."""
    tensors, inputs = {}, 3
    for i, layer in enumerate(layers):
        generator = torch.Generator().manual_seed(i)
        tensors[layer] = torch.randn(4, inputs, 3, 3, generator=generator), torch.zeros(4)
        inputs = 4
    return vgg.VGG(tensors, network="vgg19", spec=Input(channels="RGB", range=1.0, mean=(0, 0, 0)))


def test_the_net_runs_no_deeper_than_the_deepest_layer_asked_for():
    net = tiny_vgg("conv1_1", "conv1_2")  # anything deeper has no kernel to run with
    assert set(net(rand(1, 3, 8, 8), ["relu1_1"])) == {"relu1_1"}
    assert net(rand(1, 3, 8, 8), ["pool1", "conv1_1"])["pool1"].shape == (1, 4, 4, 4)
    with pytest.raises(KeyError, match="conv2_1"):
        net(rand(1, 3, 8, 8), ["conv2_1"])


def test_no_layers_asked_for_give_no_taps(vgg19):
    assert vgg19(rand(1, 3, 8, 8), []) == {}


@pytest.mark.parametrize("size", [(8, 8), (300, 4), (4, 300), (17, 33), (1, 1)])
def test_thin_and_small_pictures_have_all_layers(vgg19, size):
    found = vgg19(rand(1, 3, *size), ["relu1_1", "relu5_1"])
    assert found["relu1_1"].shape[2:] == size
    assert found["relu5_1"].numel()
    assert found["relu5_1"].isfinite().all()


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 64)])
def test_the_way_back_through_a_pool_is_torchs_own(vgg19, size):
    x = rand(1, 3, *size).requires_grad_()
    ours = vgg19(x, ["relu1_2", "pool1"])
    (gradient,) = torch.autograd.grad((ours["pool1"] ** 2).sum(), ours["relu1_2"])
    alike = ours["relu1_2"].detach().requires_grad_()
    (expected,) = torch.autograd.grad((torch.nn.functional.max_pool2d(alike, 2) ** 2).sum(), alike)
    assert torch.equal(gradient, expected)


def test_a_thin_strip_is_pooled_along_its_length_only(vgg19):
    found = vgg19(rand(1, 3, 1, 64), ["pool1", "pool2"])
    assert found["pool1"].shape[2:] == (1, 32)
    assert found["pool2"].shape[2:] == (1, 16)


def test_nothing_of_the_net_is_trained(vgg19):
    x = rand(1, 3, 16, 16)
    assert not vgg19(x, ["relu2_1"])["relu2_1"].requires_grad


# VGG: pooling and precision


def test_max_pooling_takes_the_largest_of_two_by_two(vgg19):
    found = vgg19(rand(1, 3, 16, 16), ["relu1_2", "pool1"])
    expected = found["relu1_2"].unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    assert torch.equal(found["pool1"], expected)


def test_average_pooling_is_the_scaled_mean_of_two_by_two():
    net = load_backbone("vgg19", pooling="average")
    found = net(rand(1, 3, 16, 16), ["relu1_2", "pool1"])
    expected = found["relu1_2"].unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)) * vgg.AVERAGE_POOLING_SCALE
    torch.testing.assert_close(found["pool1"], expected)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(OptionError, match="max or average, got 'median'"):
        load_backbone("vgg19", pooling="median")


def test_bfloat16_activations_are_close_to_float32(vgg19, picture):
    x = picture(32, 32)
    found = load_backbone("vgg19", dtype=torch.bfloat16)(x, ["relu2_1"])["relu2_1"]
    exact = vgg19(x, ["relu2_1"])["relu2_1"]
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).norm() / exact.norm() < 0.02


# preprocessing


@pytest.mark.parametrize(
    ("rgb", "bgr"),
    [
        ((1, 0, 0), (-103.939, -116.779, 255 - 123.68)),
        ((0, 1, 0), (-103.939, 255 - 116.779, -123.68)),
        ((0, 0, 1), (255 - 103.939, -116.779, -123.68)),
        ((0.5, 0.25, 0.75), (191.25 - 103.939, 63.75 - 116.779, 127.5 - 123.68)),
    ],
)
def test_the_original_weights_see_bgr_to_255_without_the_mean(rgb, bgr):
    pixel = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)
    found = Preprocess(RECORDS["vgg19"].input)(pixel).flatten()
    torch.testing.assert_close(found, torch.tensor(bgr), rtol=0, atol=1e-4)


def test_torchvisions_weights_see_rgb_in_units_of_imagenets_deviation():
    pixel = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)
    found = Preprocess(RECORDS["vgg16"].input)(pixel).flatten()
    expected = torch.tensor([(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0 - 0.406) / 0.225])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_records_formula_is_times_range_minus_mean_times_scale():
    spec = Input(channels="BGR", range=10.0, mean=(1.0, 2.0, 3.0), scale=(0.5, 2.0, 4.0))
    found = Preprocess(spec)(torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found, torch.tensor([(3 - 1) * 0.5, (2 - 2) * 2.0, (1 - 3) * 4.0]))


# VGG: torchvision's files


def equivalent(network):
    """The network as torchvision lays it out: `features`, an `nn.Sequential`, with seeded kernels."""
    modules, inputs, names = [], 3, []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        for block, (depth, outputs) in enumerate(zip(DEPTHS[network], CHANNELS, strict=True), 1):
            for i in range(1, depth + 1):
                modules += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                names += [f"conv{block}_{i}", f"relu{block}_{i}"]
                inputs = outputs
            modules.append(nn.MaxPool2d(2))
            names.append(f"pool{block}")
    return nn.Sequential(*modules).requires_grad_(False), names


@pytest.fixture
def torchvision_file(tmp_path, monkeypatch):
    """A function: writes a state dict under the file name of a record, which then expects that file's hash."""

    def write(name, state):
        path = tmp_path / RECORDS[name].file
        torch.save(state, path)
        monkeypatch.setenv("MIEN_WEIGHTS", str(tmp_path))
        monkeypatch.setitem(RECORDS, name, dataclasses.replace(RECORDS[name], sha256=weights.sha256(path)))

    return write


@pytest.mark.parametrize(("name", "network"), [("vgg16", "vgg16"), ("vgg19-torchvision", "vgg19")])
def test_torchvisions_state_dict_gives_the_activations_of_its_own_layout(name, network, torchvision_file):
    net, layers = equivalent(network)
    state = {f"features.{key}": value for key, value in net.state_dict().items()}
    torchvision_file(name, {**state, "classifier.0.weight": torch.zeros(3, 4), "classifier.0.bias": torch.zeros(3)})
    x = rand(1, 3, 32, 32)
    found = load_backbone(name)(x, layers)
    assert list(found) == layers
    y = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for layer, module in zip(layers, net, strict=True):
        y = module(y)
        torch.testing.assert_close(found[layer], y, rtol=1e-3, atol=1e-5, msg=layer)


def test_a_state_dict_of_another_network_is_refused(torchvision_file):
    wrong = {f"features.{i}.weight": torch.zeros(5, 3, 3, 3) for i in range(13)}
    torchvision_file("vgg16", wrong | {f"features.{i}.bias": torch.zeros(5) for i in range(13)})
    with pytest.raises(WeightsMismatch, match=r"conv1_1 .* to have the shape \(64, 3, 3, 3\), got \(5, 3, 3, 3\)"):
        load_backbone("vgg16")


def test_a_state_dict_of_too_few_layers_is_refused(torchvision_file):
    torchvision_file("vgg16", {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)})
    with pytest.raises(WeightsMismatch):
        load_backbone("vgg16")


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(WeightsError, match="vgg19, vgg19-torchvision, vgg16, got 'resnet50'"):
        load_backbone("resnet50")


# any module


def hooks(net):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules())


def test_a_modules_layers_are_its_leaves_by_path():
    net = nn.Sequential()
    net.add_module("stem", nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    net.add_module("head", nn.Conv2d(4, 2, 1))
    assert ModuleBackbone(net, name="net").layers == ("stem.0", "stem.1", "head")


def test_taps_equal_running_the_net_layer_by_layer(small_net):
    x = rand(2, 3, 10, 12)
    found = small_net(x, small_net.layers)
    for path, module in seeded_net().named_children():
        x = module(x)
        torch.testing.assert_close(found[path], x)


def test_hooks_are_gone_after_a_call():
    net = seeded_net()
    backbone = ModuleBackbone(net, name="small")
    backbone(rand(1, 3, 8, 8), ["1", "4"])
    assert hooks(net) == 0


class Broken(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError


def test_hooks_are_gone_after_an_error_inside_the_net():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), Broken(), nn.ReLU())
    with pytest.raises(ZeroDivisionError):
        ModuleBackbone(net, name="broken")(rand(1, 3, 4, 4), ["0", "2"])
    assert hooks(net) == 0


def test_a_module_runs_no_deeper_than_needed():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), Broken())
    assert set(ModuleBackbone(net, name="cut")(rand(1, 3, 4, 4), ["1"])) == {"1"}
    assert hooks(net) == 0


def test_a_layer_that_the_forward_pass_leaves_out_is_an_error():
    class Partial(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.used(x)

    net = Partial()
    with pytest.raises(OptionError, match="run through 'unused'"):
        ModuleBackbone(net, name="partial")(rand(1, 3, 4, 4), ["unused"])
    assert hooks(net) == 0


def test_a_following_in_place_relu_does_not_change_a_tap():
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(inplace=True))
    x = rand(1, 3, 5, 5).requires_grad_()
    found = ModuleBackbone(net, name="in place")(x, ["0", "1"])
    torch.testing.assert_close(found["0"], F.conv2d(x, net[0].weight))
    assert found["0"].min() < 0
    assert torch.equal(found["1"], found["0"].clamp(min=0))
    found["0"].square().sum().backward()
    assert x.grad.abs().max() > 0


def test_a_module_used_twice_gives_the_same_tap_whatever_else_is_asked():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = (nn.Conv2d(3, 3, 1) for _ in range(3))
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.third(self.relu(self.second(self.relu(self.first(x)))))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = ModuleBackbone(Shared(), name="shared")
    x = rand(1, 3, 4, 4)
    assert torch.equal(backbone(x, ["relu"])["relu"], backbone(x, ["relu", "third"])["relu"])


def test_a_module_is_switched_to_evaluation_and_frozen():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    backbone = ModuleBackbone(net, name="trained")
    assert not any(module.training for module in net.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    x = rand(2, 3, 6, 6)
    before = net[1].running_mean.clone()
    assert torch.equal(backbone(x, ["2"])["2"], backbone(x, ["2"])["2"])
    assert torch.equal(net[1].running_mean, before)


def test_a_modules_input_record_is_applied():
    net = nn.Sequential(nn.Identity())
    spec = Input(channels="BGR", range=255.0, mean=(1.0, 2.0, 3.0))
    found = ModuleBackbone(net, name="net", spec=spec)(torch.tensor([0.0, 0.2, 1.0]).view(1, 3, 1, 1), ["0"])["0"]
    torch.testing.assert_close(found.flatten(), torch.tensor([254.0, 49.0, -3.0]))


def test_reduction_of_a_module_is_measured(small_net):
    assert [small_net.reduction(layer) for layer in small_net.layers] == [1, 1, 2, 2, 2]
    strided = ModuleBackbone(nn.Sequential(nn.Conv2d(3, 2, 7, stride=4, padding=3)), name="strided")
    assert strided.reduction("0") == 4


def test_an_unknown_layer_of_a_module_is_refused_before_it_runs():
    with pytest.raises(OptionError, match="got '17'"):
        ModuleBackbone(nn.Sequential(Broken()), name="small")(rand(1, 3, 8, 8), ["17"])


# module:function


@pytest.fixture
def custom(tmp_path, monkeypatch):
    (tmp_path / "my_nets_of_the_tests.py").write_text(
        "from torch import nn\n"
        "from mien.weights import Input\n"
        "def plain():\n    return nn.Sequential(nn.Identity())\n"
        "def pair():\n    return plain(), Input(channels='RGB', range=2.0, mean=(0, 0, 1))\n"
        "def number():\n    return 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_nets_of_the_tests"


def test_module_function_brings_the_users_net(custom):
    x = rand(1, 3, 2, 2)
    found = load_backbone(f"{custom}:plain")
    assert found.name == f"{custom}:plain"
    assert torch.equal(found(x, ["0"])["0"], x)


def test_module_function_may_bring_an_input_record(custom):
    found = load_backbone(f"{custom}:pair")(torch.full((1, 3, 1, 1), 0.5), ["0"])["0"]
    assert found.flatten().tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("my_nets_of_the_tests:nothing", "nothing"),
        ("no_such_module_anywhere:net", "no_such_module_anywhere"),
        ("my_nets_of_the_tests:number", "return a torch.nn.Module, got int"),
        (":net", "module:function"),
        ("module:", "module:function"),
    ],
)
def test_module_function_that_brings_no_net_is_refused(custom, where, why):
    with pytest.raises(OptionError, match=why):
        load_custom(where)
