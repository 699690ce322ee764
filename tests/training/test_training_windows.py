"""Windows: where they begin, what the rest becomes, windows about events, and a dataset cut into windows."""

import numpy as np
import pytest

from mien.errors import DataError, OptionError
from mien.training.data import from_arrays
from mien.training.splits import by_group
from mien.training.windows import about, cut, places, starts, windowed


@pytest.mark.parametrize(
    ("length", "remainder", "expected"),
    [
        (10, "drop", (0, 3, 6)),
        (10, "pad", (0, 3, 6)),
        (10, "overlap", (0, 3, 6)),
        (11, "drop", (0, 3, 6)),
        (11, "pad", (0, 3, 6, 9)),
        (11, "overlap", (0, 3, 6, 7)),
        (3, "drop", ()),
        (3, "overlap", ()),
        (3, "pad", (0,)),
    ],
)
def test_where_windows_of_4_every_3_begin(length, remainder, expected):
    assert starts(length, size=4, step=3, remainder=remainder) == expected


@pytest.mark.parametrize("remainder", ["pad", "overlap"])
@pytest.mark.parametrize("length", range(5, 30))
def test_every_sample_is_in_a_window(length, remainder):
    covered = {i for first in starts(length, size=5, step=4, remainder=remainder) for i in range(first, first + 5)}
    assert set(range(length)) <= covered


def test_wrong_sizes_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        starts(10, size=0, step=1)
    with pytest.raises(OptionError, match="each of the 2 axes"):
        places((4, 4), size=(2,), step=(2,))
    with pytest.raises(OptionError, match="drop, pad or overlap"):
        starts(10, size=2, step=1, remainder="keep")


def test_in_three_dimensions_places_are_all_combinations():
    assert places((4, 2, 2), size=(2, 2, 2), step=(2, 2, 2)) == ((0, 0, 0), (2, 0, 0))


def test_beyond_the_edge_the_edge_goes_on():
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    np.testing.assert_array_equal(cut(values, (1, 1), (2, 3)), [[[4, 5, 5], [4, 5, 5]]])
    np.testing.assert_array_equal(cut(values, (-1, 0), (2, 2)), [[[0, 1], [0, 1]]])


def test_windows_about_events_have_the_event_in_the_middle_and_lie_inside():
    signal = np.stack([np.arange(20), -np.arange(20)]).astype(np.float32)
    windows, inside = about(signal, [1, 2, 10, 18, 19], size=4)
    assert inside.tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(windows[:, 0, 2], [2, 10, 18])
    np.testing.assert_array_equal(windows[1, 1], [-8, -9, -10, -11])
    early, _ = about(signal, [10], size=4, before=0)
    np.testing.assert_array_equal(early[0, 0], [10, 11, 12, 13])


def test_a_signal_shorter_than_the_window_has_none():
    windows, inside = about(np.zeros((2, 3), np.float32), [1], size=8)
    assert windows.shape == (0, 2, 8)
    assert not inside.any()


def test_a_dataset_in_windows_keeps_labels_and_groups_and_reads_the_right_stretch():
    arrays = np.arange(40, dtype=np.float32).reshape(4, 1, 10)
    data = from_arrays(arrays, ["a", "a", "b", "b"], kind="signal", groups=["p", "q", "r", "s"], extras=np.eye(4))
    cut_up = windowed(data, size=(4,), step=(3,))
    assert len(cut_up) == 12
    assert cut_up.groups.tolist() == [g for g in "pqrs" for _ in range(3)]
    np.testing.assert_array_equal(cut_up[4], [[13, 14, 15, 16]])
    np.testing.assert_array_equal(cut_up[0], [[0, 1, 2, 3]])
    np.testing.assert_array_equal(cut_up.extras[5], [0, 1, 0, 0])
    by_group(cut_up.groups, cut_up.labels)  # raises on a leak


def test_an_example_without_a_window_is_named():
    data = from_arrays(np.zeros((2, 1, 3)), ["a", "b"], kind="signal", source="short")
    with pytest.raises(DataError, match=r"window of \(4,\) in short\[0\]"):
        windowed(data, size=(4,), step=(4,))
