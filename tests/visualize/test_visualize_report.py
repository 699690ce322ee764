"""A report: what it says is what was found, its page needs nothing else, and an interruption keeps what there is."""

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mien import images
from mien.errors import DataError, OptionError, OutputError
from mien.visualize import drawing
from mien.visualize.deconvnet import project_one
from mien.visualize.layers import _alikeness
from mien.visualize.page import page
from mien.visualize.report import look
from mien.visualize.saving import record, save_report, units_csv
from mien.visualize.sources import Source
from mien.visualize.steps import draw_steps, steps_down
from mien.visualize.subjects import subject_of
from mien.visualize.top_patches import crop

SIDE = 32


def seeded(dims=2, channels=3):
    """Three convolutions of 6 and 8 units; the second one's unit 2 is dead."""
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            *(convolution(channels, 6, 3, padding=1), nn.ReLU(), convolution(6, 8, 3, padding=1), nn.ReLU(inplace=True))
        )
    with torch.no_grad():
        net[2].bias[2] = -1e6
    return subject_of(net, name="seeded")


def pictures(count=12, names=None):
    random = np.random.default_rng(0)
    data = random.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)
    labels = ["light" if i % 3 else "dark" for i in range(count)]
    for i in range(0, count, 3):
        data[i] //= 4
    return Source(names or [f"{label}/{i}.png" for i, label in enumerate(labels)], lambda i: data[i], labels=labels)


@pytest.fixture(scope="module")
def report():
    return look(seeded(), pictures(), data="noise", methods=("deconvnet", "guided"), top=4)


# what was found


def test_units_are_those_of_the_network_and_their_patches_its_strongest(report):
    assert [layer.layer for layer in report.layers] == ["1", "3"]
    assert [(layer.count, layer.dead, len(layer.units)) for layer in report.layers] == [(6, 0, 6), (8, 1, 8)]
    source, net = pictures(), seeded().net
    layer = report.layers[1]
    maps = torch.cat([net(source.load(i).unsqueeze(0), ["3"])["3"] for i in range(12)])
    for unit in layer.units:
        best = maps[:, unit.unit].flatten(1).amax(1)
        assert unit.maximum == pytest.approx(float(best.max()), rel=1e-4)
        assert unit.mean == pytest.approx(float(best.mean()), rel=1e-4)
        assert unit.share == pytest.approx(float((best > 0).float().mean()))
        order = best.sort(descending=True).indices[:4].tolist()
        assert [patch.source for patch in unit.top] == (order if not unit.dead else [])
        for patch in unit.top:
            assert maps[(patch.source, unit.unit, *patch.position)] == pytest.approx(patch.value, rel=1e-4)
            assert patch.box == tuple((p - 2, p + 3) for p in patch.position)


def test_class_shares_count_the_best_patches(report):
    unit = report.layers[0].units[0]
    expected = [report.labels[patch.source] for patch in unit.top]
    assert dict(unit.classes) == {name: expected.count(name) for name in expected}
    assert sum(count for _, count in unit.classes) == 4


def test_a_dead_unit_is_reported_as_dead_and_comes_last(report):
    layer = report.layers[1]
    assert [unit.unit for unit in layer.units] == [0, 1, 3, 4, 5, 6, 7, 2]
    assert layer.units[-1].dead
    assert layer.units[-1].top == ()
    assert layer.units[-1].clearness == 0
    assert 2 not in layer.clearest


def test_clearness_is_one_minus_mean_over_the_mean_of_the_best(report):
    unit = report.layers[0].units[3]
    best = np.mean([patch.value for patch in unit.top])
    assert unit.clearness == pytest.approx(1 - unit.mean / best, rel=1e-4)


def test_units_may_be_chosen_by_number_or_by_how_many():
    report = look(seeded(), pictures(), units=[5, 0, 7], methods=(), top=2)
    assert [[unit.unit for unit in layer.units] for layer in report.layers] == [[5, 0], [5, 0, 7]]
    report = look(seeded(), pictures(), units=2, methods=(), top=2)
    whole = look(seeded(), pictures(), methods=(), top=2)
    for layer, all_of_it in zip(report.layers, whole.layers, strict=True):
        clear = sorted(all_of_it.units, key=lambda unit: -unit.clearness)[:2]
        reading = report.gram[layer.layer]
        wanted = {unit.unit for unit in clear} | {*reading.pair, *reading.closest}
        assert {unit.unit for unit in layer.units} == wanted
    with pytest.raises(OptionError, match="Expected units of '1' from 0 to 5, got 9"):
        look(seeded(), pictures(), units=[9], methods=(), top=2)


def test_receptive_fields_of_all_layers_stand_in_the_table(report):
    assert [row["layer"] for row in report.fields] == ["0", "1", "2", "3"]
    assert [row["size"] for row in report.fields] == ["3 × 3", "3 × 3", "5 × 5", "5 × 5"]


def test_the_strip_shows_the_clearest_and_those_whose_patches_are_alike_in_shape():
    random = np.random.default_rng(0)
    edge = np.zeros((9, 6, 6, 3), np.uint8)
    edge[:, :, 3:] = 255
    noise = random.integers(0, 256, (9, 6, 6, 3), dtype=np.uint8)
    within = [True] * 9
    assert _alikeness(edge, within) == pytest.approx(127.5)
    assert _alikeness(noise, within) < 40
    assert _alikeness(edge, [True] * 4 + [False] * 5) == 0  # most lie over the edge, where grey would look alike


# its pictures


def tile_of(layer, view, row, rank, top):
    """A tile, found in its sprite as the page finds it."""
    across = drawing.columns_of(top)
    down = -(-top // across)
    sprite = np.asarray(Image.open(io.BytesIO(layer.views[view][row // 16])))
    height, width = layer.tile
    live = sum(1 for unit in layer.units if unit.top)
    wide = min(4, live - row // 16 * 16, 16)
    y = (row % 16 // wide * down + rank // across) * height
    x = (row % 16 % wide * across + rank % across) * width
    return sprite[y : y + height, x : x + width]


def test_a_tile_is_the_patch_at_its_box_and_what_the_unit_saw_in_it(report):
    source = pictures()
    layer = report.layers[1]
    assert layer.tile == (5, 5)
    for row, rank in ((0, 0), (3, 2), (6, 3)):
        unit = layer.units[row]
        patch = unit.top[rank]
        image = source.load(patch.source)
        expected = (crop(image, patch.box) * 255).round().byte().permute(1, 2, 0).numpy()
        assert np.abs(tile_of(layer, "patches", row, rank, 4).astype(int) - expected).max() <= 1
        down = project_one(seeded().net, image, layer="3", unit=unit.unit, position=patch.position)
        seen = drawing.draw_projection(crop(down, patch.box, fill=0))
        assert np.abs(tile_of(layer, "deconvnet", row, rank, 4).astype(int) - seen).max() <= 1


def test_patches_of_large_windows_are_left_to_the_inputs_own_pictures():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 48, padding=24, stride=8), nn.ReLU()

        def forward(self, x):
            return self.relu(self.conv(x))

    random = np.random.default_rng(0)
    data = random.integers(0, 256, (3, 3, 100, 100), dtype=np.uint8)
    report = look(subject_of(Wide()), Source("abc", lambda i: data[i]), methods=(), top=2)
    assert report.layers[0].views == {}
    assert Image.open(io.BytesIO(report.pictures[0])).size == (100, 100)
    findings = findings_of(page(report))
    assert findings["layers"][0]["cut"]
    assert findings["inputs"]["0"] == ["a", "", 100, 100]


def test_a_contact_sheet_has_a_place_for_each_live_unit(report):
    for layer in report.layers:
        assert layer.sheet.dtype == np.uint8
        assert layer.sheet.shape[2] == 3
    assert drawing.contact_sheet([3], [np.zeros((1, 9, 8, 8, 3), np.uint8)], ["max 1"]).min() == 0


def test_heat_goes_from_dark_to_light():
    colours = drawing.heat(np.array([[0.0, 0.5, 1.0, float("nan")]]))[0].astype(int).sum(-1)
    assert colours[0] < colours[1] < colours[2]
    assert colours[3] == colours[0]


@pytest.mark.parametrize(
    ("span", "length", "expected"),
    [((100, 140), 400, (80, 160)), ((-10, 20), 400, (0, 32)), ((390, 420), 400, (378, 400)), ((-5, 50), 30, (0, 30))],
)
def test_a_signals_surroundings_are_half_its_window_on_either_side(span, length, expected):
    assert drawing.context(span, length) == expected


def test_a_trace_shades_the_units_span_and_draws_the_projection_below():
    signal = np.sin(np.arange(200, dtype=np.float32) / 5)[None]
    drawn = drawing.draw_trace(signal, (80, 120), torch.ones(1, 40))
    assert drawn.shape == (*drawing.TRACE, 3)
    row = drawn[2]
    shaded = (row == drawing.SHADE).all(-1) | (drawn[85] == drawing.SHADE).all(-1)
    assert shaded[drawn.shape[1] // 2]
    assert not shaded[2]
    assert (drawn[90:] == drawing.ACCENT).all(-1).any()
    assert not (drawing.draw_trace(signal, (80, 120), None) == drawing.ACCENT).all(-1).any()


def test_slices_pass_through_the_middle_of_the_box():
    volume = torch.zeros(1, 9, 10, 11)
    volume[0, 3:6, 4:7, 5:8] = 1
    drawn = drawing.draw_slices(volume, ((3, 6), (4, 7), (5, 8)))
    width = drawing.SLICE + 4
    slices = [drawn[:, i * width : i * width + drawing.SLICE] for i in range(3)]
    assert all((part > 252).all(-1).any() for part in slices)  # the voxel; paper is darker
    away = drawing.draw_slices(volume, ((0, 2), (0, 2), (0, 2)))
    assert not (away > 252).all(-1).any()


# the page and the files


def findings_of(text):
    return json.loads(re.search(r'id="findings">(.*?)</script>', text, re.S)[1].replace("<\\/", "</"))


def test_the_page_asks_for_nothing_from_elsewhere(report):
    text = page(report)
    code = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.S)
    assert re.findall(r"(?:src|href)=[\"'](?!#)[^\"'>]*", code) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\"' ]*|@import|url\((?!\$)", code) == []
    assert "fetch(" not in code


def test_the_page_holds_every_picture_that_its_script_asks_for(report):
    text = page(report)
    kept = dict(re.findall(r'<script type="text/plain" id="([^"]+)" data-type="[^"]+">([^<]*)<', text))
    findings = findings_of(text)
    wanted = {f"p{i}" for i in findings["inputs"]} | {"filters"}
    for number, layer in enumerate(findings["layers"]):
        views = [*findings["methods"], *([] if layer["cut"] else ["patches"])]
        wanted |= {f"v{number}-{view}-{i}" for view in views for i in range(-(-layer["live"] // 16))}
        wanted |= {f"g{number}", f"t{number}"}
    assert set(kept) == wanted
    for data in kept.values():
        Image.open(io.BytesIO(base64.b64decode(data))).verify()


def test_names_cannot_break_out_of_the_page():
    evil = ["</script><img src=x onerror=alert(1)>.png"] + [f"{i}.png" for i in range(2)]
    report = look(seeded(), pictures(3, names=evil), data="<b>data</b>", methods=(), top=1)
    text = page(report)
    assert "<img src=x" not in re.sub(r"<\\/script><img src=x", "", text)
    assert "<b>data" not in re.sub(r'"[^"]*<b>data[^"]*"', "", text)
    assert findings_of(text)["inputs"]["0"][0] == evil[0]


def test_the_files_of_a_report_say_the_same(report, tmp_path):
    path = save_report(report, tmp_path / "report")
    assert sorted(p.name for p in path.parent.iterdir()) == ["1.png", "3.png", "index.html", "report.json", "units.csv"]
    kept = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((path.parent / "units.csv").open(encoding="utf-8")))
    assert len(rows) == 14
    found = kept["layers"][1]["found"]
    for unit in found:
        row = next(row for row in rows if (row["layer"], row["unit"]) == ("3", str(unit["unit"])))
        assert float(row["maximum"]) == pytest.approx(unit["maximum"], rel=1e-5)
        assert row["dead"] == str(int(unit["dead"]))
        assert row["best"] == "; ".join(patch["input"] for patch in unit["top"])
    assert images.load(path.parent / "3.png").pixels.shape == report.layers[1].sheet.shape
    assert kept["gram"]["layers"]["1"]["pair"] == list(report.gram["1"].pair)


def test_a_report_is_not_overwritten_unasked(report, tmp_path):
    save_report(report, tmp_path)
    with pytest.raises(OutputError, match="holds a report already"):
        save_report(report, tmp_path)
    save_report(report, tmp_path, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        save_report(report, tmp_path / "file")


# interruptions, refusals


def test_a_stop_in_the_scan_keeps_what_was_seen():
    calls = []

    def stopped():
        calls.append(1)
        return len(calls) > 6

    report = look(seeded(), pictures(), batch=2, stopped=stopped)
    assert report.interrupted
    assert report.seen == 6
    assert report.notes == ("Interrupted after 6 of 12 inputs: this shows what was seen by then.",)
    assert all(patch.source < 6 for layer in report.layers for unit in layer.units for patch in unit.top)
    assert "Interrupted after 6" in page(report)
    with pytest.raises(DataError, match="Expected at least one input before the interruption"):
        look(seeded(), pictures(), stopped=lambda: True)


def test_progress_is_told_for_the_scan_and_each_projection():
    told = []
    look(seeded(), pictures(), batch=4, top=2, progress=lambda *what: told.append(what))
    assert told[:4] == [("looking", 0, 12), ("looking", 4, 12), ("looking", 8, 12), ("looking", 12, 12)]
    assert ("1: deconvnet", 12, 12) in told
    assert ("3: deconvnet", 14, 14) in told


def test_an_example_is_chosen_by_name():
    report = look(seeded(), pictures(), methods=(), top=1, example="3.png")
    assert report.names[report.example] == "dark/3.png"
    with pytest.raises(OptionError, match=r"inputs, like 'dark/0\.png', got 'x\.png'"):
        look(seeded(), pictures(), methods=(), top=1, example="x.png")


def test_a_network_that_fails_on_the_data_is_refused_with_its_words():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(99, 2))
    with pytest.raises(OptionError, match=r"Expected net to run on data of shape .* but it failed"):
        look(subject_of(net, name="net"), pictures())


# other dimensions


@pytest.mark.parametrize(("dims", "shape"), [(1, (2, 60)), (3, (1, 9, 10, 11))])
def test_signals_and_volumes_have_reports_too(dims, shape):
    data = np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32)
    source = Source([f"n{i}" for i in range(5)], lambda i: data[i], labels=list("ababa"), rate=100.0)
    report = look(seeded(dims, shape[0]), source, top=2)
    findings = findings_of(page(report))
    assert findings["dims"] == dims
    assert len(report.layers[0].units[0].top[0].box) == dims
    assert set(report.layers[0].views) == ({"deconvnet"} if dims == 1 else {"patches", "deconvnet"})
    assert set(report.pictures) == (set(range(5)) if dims == 1 else set())
    assert units_csv(report).count("\n") == 15
    assert record(report)["size"] == list(shape[1:])


def test_a_layer_behind_a_normalisation_shows_the_window_of_its_filters():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(1, 4), nn.ReLU())
    report = look(subject_of(net), pictures(), top=1)
    layer = report.layers[0]
    assert [axis.size for axis in layer.window.axes] == [3, 3]
    assert "mean and a variance over the whole input" in layer.note
    assert layer.tile == (3, 3)


# how the deconvnet works


def test_steps_down_end_where_the_projection_does_and_are_rectified_on_the_way(vgg19, picture):
    image = picture(40, 40)[0]
    steps = steps_down(vgg19, image, layer="relu2_1", unit=5, position=(9, 8))
    assert [(step.did, step.layer) for step in steps] == [
        ("start", "relu2_1"),
        ("rectify", "relu2_1"),
        ("filter", "conv2_1"),
        ("unpool", "pool1"),
        ("rectify", "relu1_2"),
        ("filter", "conv1_2"),
        ("rectify", "relu1_1"),
        ("filter", "conv1_1"),
    ]
    down = project_one(vgg19, image, layer="relu2_1", unit=5, position=(9, 8))
    torch.testing.assert_close(steps[-1].signal, down)
    assert all((step.signal >= 0).all() for step in steps if step.did == "rectify")
    unpooled, rectified = steps[3].signal, steps[4].signal
    torch.testing.assert_close(unpooled.relu(), rectified)
    assert int((unpooled != 0).sum()) == int((steps[2].signal != 0).sum())
    drawn = draw_steps(image, steps, cell=40, columns=3)
    assert drawn.ndim == 3


def test_steps_of_a_network_with_branches_are_refused(small_net, picture):
    with pytest.raises(OptionError, match="Expected a network whose layers follow one another"):
        steps_down(small_net, picture(20, 20)[0], layer="4", unit=0, position=(2, 2))
