"""Data in: every kind of file read right, and every bad one refused by name before training starts."""

import sys
import wave

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError, ImageError, MissingExtra, OptionError
from mien.training.data import check_examples, from_arrays, in_memory, natural, stacked
from mien.training.reading import Reading, from_csv, from_folder, from_npz, open_data
from mien.training.reading.signals import read_events, read_wav, read_wfdb
from mien.training.reading.video import read_clip
from mien.training.reading.volumes import read_dicom, read_nifti

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
av = pytest.importorskip("av")


def picture(path, value=100, size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 0)).save(path)


def sound(path, samples, rate=8000, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.T.astype(f"<i{width}").tobytes())


def dicom(path, height, value, *, spacing=(0.5, 0.7), series="1.2.3"):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    slice_ = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SOPClassUID, slice_.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    slice_.SeriesInstanceUID = series
    slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = 3, 4, 1
    slice_.PhotometricInterpretation = "MONOCHROME2"
    slice_.BitsAllocated = slice_.BitsStored = 16
    slice_.HighBit, slice_.PixelRepresentation = 15, 1
    slice_.RescaleSlope, slice_.RescaleIntercept = 2, -1000
    slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, height], [1, 0, 0, 0, 1, 0]
    if spacing:
        slice_.PixelSpacing = list(spacing)
    slice_.PixelData = np.full((3, 4), value, np.int16).tobytes()
    slice_.save_as(path, enforce_file_format=True)


@pytest.fixture
def people(tmp_path):
    """Two people with two pictures each, a README beside them."""
    for name in ("anna", "bert"):
        for i in range(2):
            picture(tmp_path / "people" / name / f"{i}.png", value=100 + i)
    (tmp_path / "people" / "README").write_text("who they are")
    return tmp_path / "people"


# a folder per person


def test_a_folder_per_person_gives_labels_and_pictures_in_0_to_1(people):
    data = open_data(people)
    assert data.kind == "image"
    assert data.classes == ("anna", "bert")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.groups.tolist() == ["anna", "anna", "bert", "bert"]
    assert data[1].shape == (3, 5, 6)
    np.testing.assert_allclose(data[1][:, 0, 0], [101 / 255, 50 / 255, 0])
    check_examples(data, pairs=True)


def test_files_are_read_only_when_asked_for(people):
    data = open_data(people)
    (people / "bert" / "1.png").write_bytes(b"no picture any more")
    data[0]
    with pytest.raises(ImageError, match=r"1\.png"):
        data[3]


def test_pictures_are_resized_and_made_grey_if_asked(people):
    data = open_data(people, how=Reading(size=(8, 4), grey=True))
    assert data[0].shape == (1, 8, 4)
    np.testing.assert_allclose(data[0], (0.2126 * 100 + 0.7152 * 50) / 255, atol=1e-6)


def test_portable_pictures_are_read_too(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "1.pgm").write_bytes(b"P5\n2 2\n255\n\x00\xff\xff\x00")
    np.testing.assert_array_equal(from_folder(tmp_path)[0][0], [[0, 1], [1, 0]])
    (tmp_path / "s1" / "2.pgm").write_bytes(b"P5\n2 9\n255\n\x00\xff")
    with pytest.raises(ImageError, match=r"2\.pgm"):
        from_folder(tmp_path)[1]


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["s10", "s2", "s1", "a", "10", "9"], key=natural) == ["9", "10", "a", "s1", "s2", "s10"]


def test_what_is_no_data_is_left_out_and_said(people):
    (people / "anna" / "notes.txt").write_text("x")
    data = open_data(people)
    assert len(data) == 4
    assert "notes.txt" in data.notes[0]


def test_a_picture_beside_the_folders_has_no_label(people):
    picture(people / "who.png")
    with pytest.raises(DataError, match=r"who\.png lies beside"):
        open_data(people)


def test_an_unlabelled_folder_is_taken_whole_if_asked(people):
    picture(people / "who.png")
    assert len(from_folder(people, labelled=False)) == 5


def test_empty_folders_and_wrong_paths_are_named(tmp_path, people):
    (people / "carl").mkdir()
    with pytest.raises(DataError, match="carl"):
        open_data(people)
    with pytest.raises(DataError, match="nowhere"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="one folder per label"):
        open_data(people / "README")


def test_two_kinds_of_files_are_refused(people):
    sound(people / "bert" / "voice.wav", np.zeros((1, 9)))
    with pytest.raises(DataError, match=r"1 signals, such as .*voice\.wav"):
        open_data(people)


# before training


def test_one_picture_per_person_is_refused_because_triplets_need_pairs():
    data = from_arrays(np.zeros((3, 1, 9)), ["a", "b", "c"], kind="signal")
    with pytest.raises(DataError, match="triplets need pairs"):
        check_examples(data, pairs=True)
    check_examples(data, pairs=False)


def test_one_person_no_label_and_nothing_are_refused():
    with pytest.raises(DataError, match="every one of the 2 examples is labelled “a”"):
        check_examples(from_arrays(np.zeros((2, 1, 9)), ["a", "a"], kind="signal"), pairs=True)
    with pytest.raises(DataError, match=r"the array\[1\] has none"):
        check_examples(from_arrays(np.zeros((2, 1, 9)), ["a", " "], kind="signal"), pairs=True)
    with pytest.raises(DataError, match="there are none"):
        check_examples(from_arrays(np.zeros((0, 1, 9)), [], kind="signal"), pairs=True)


def test_in_memory_reads_every_file_once_and_gives_the_same(people):
    data = open_data(people)
    seen = []
    kept = in_memory(data, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert kept.shape == (5, 6)
    for path in people.rglob("*.png"):
        path.unlink()
    assert stacked(kept).shape == (4, 3, 5, 6)
    assert stacked(kept.subset([3, 0])).shape == (2, 3, 5, 6)


def test_beyond_the_limit_files_are_checked_but_not_kept(people):
    kept = in_memory(open_data(people), limit=10)
    (people / "anna" / "0.png").unlink()
    with pytest.raises((DataError, ImageError)):
        kept[0]


def test_pictures_of_different_sizes_are_named_with_the_fix(people):
    picture(people / "bert" / "0.png", size=(7, 7))
    with pytest.raises(DataError, match=r"bert/0\.png is \(3, 7, 7\).*give one size"):
        in_memory(open_data(people))
    assert in_memory(open_data(people, how=Reading(size=(4, 4)))).shape == (4, 4)


def test_not_a_number_in_a_signal_is_named_with_its_place(tmp_path):
    x = np.zeros((2, 3, 8), np.float32)
    x[1, 2, 5] = np.nan
    np.savez(tmp_path / "x.npz", x=x, y=["a", "b"])
    with pytest.raises(DataError, match=r"x\.npz\[1\], but 1 are NaN.*\(2, 5\)"):
        open_data(tmp_path / "x.npz")


def test_a_subset_keeps_order_labels_and_extras():
    data = from_arrays(
        np.arange(8).reshape(4, 1, 2), list("abab"), kind="signal", groups=list("pqrs"), extras=np.eye(4)
    )
    part = data.subset([2, 1])
    np.testing.assert_array_equal(part[0], [[4, 5]])
    assert [e.label for e in part.examples] == ["a", "b"]
    assert part.groups.tolist() == ["r", "q"]
    np.testing.assert_array_equal(part.extras[0], [0, 0, 1, 0])
    np.testing.assert_array_equal(part.subset([1])[0], [[2, 3]])


def test_a_label_keeps_its_number_in_a_part_without_the_other_classes():
    data = from_arrays(np.zeros((3, 1, 2)), list("abc"), kind="signal")
    assert data.subset([2]).labels.tolist() == [2]
    assert data.subset([2]).subset([0]).classes == ("a", "b", "c")
    assert data.subset([2], renumber=True).labels.tolist() == [0]


def test_wrong_shapes_and_numbers_of_labels_are_refused():
    with pytest.raises(DataError, match="missing axis"):
        from_arrays(np.zeros((3, 9)), list("abc"), kind="signal")
    with pytest.raises(DataError, match="one label for each of the 3"):
        from_arrays(np.zeros((3, 1, 9)), list("ab"), kind="signal")
    with pytest.raises(DataError, match="one group for each"):
        from_arrays(np.zeros((3, 1, 9)), list("abc"), kind="signal", groups=["x"])


# tables


def test_a_table_gives_labels_groups_and_marks(people):
    table = people / "list.csv"
    table.write_text("path,label,group,camera\nanna/0.png,genuine,anna,left\nbert/1.png,forged,anna,right\n")
    data = open_data(table)
    assert data.classes == ("forged", "genuine")
    assert data.groups.tolist() == ["anna", "anna"]
    assert data.mark("camera").tolist() == ["left", "right"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("path,label\nanna/0.png,\n", "label in line 2"),
        ("path,label\nanna/0.png,a\nanna/9.png,a\n", "line 3"),
        ("path,name\nanna/0.png,a\n", "add label"),
        ("path,label\n", "no"),
        ("", "nothing"),
    ],
)
def test_what_a_table_lacks_is_named_with_its_line(people, text, wrong):
    (people / "list.csv").write_text(text)
    with pytest.raises(DataError, match=wrong):
        from_csv(people / "list.csv")


# arrays


def test_arrays_with_labels_groups_rate_and_extras(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.arange(12.0).reshape(3, 4), y=[0, 1, 0], group=["p", "q", "p"], rate=50, extras=np.eye(3))
    data = open_data(path)
    assert (data.kind, data.channels, data.shape, data.rate) == ("signal", 1, (4,), 50)
    assert data.groups.tolist() == ["p", "q", "p"]
    assert data.labels.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(data.extras[1], [0, 1, 0])


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "expected"),
    [
        ((2, 5, 6), np.uint8, "image", (1, 5, 6)),
        ((2, 5, 6, 3), np.uint8, "image", (3, 5, 6)),
        ((2, 3, 5, 6), np.uint8, "image", (3, 5, 6)),
        ((2, 5, 6), np.float32, "signal", (5, 6)),
        ((2, 1, 4, 5, 6), np.float32, "volume", (1, 4, 5, 6)),
    ],
)
def test_axes_tell_the_kind(tmp_path, shape, dtype, kind, expected):
    np.savez(tmp_path / "x.npz", x=np.ones(shape, dtype), y=["a", "b"], spacing=(1, 1, 2))
    data = open_data(tmp_path / "x.npz")
    assert data.kind == kind
    assert data[0].shape == expected
    assert data[0].max() == pytest.approx(1 / 255 if dtype == np.uint8 else 1)


def test_arrays_without_labels_or_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)))
    with pytest.raises(DataError, match="their labels as y"):
        from_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 3)), y=np.array(["a", None], dtype=object))
    with pytest.raises(DataError, match="not as objects"):
        from_npz(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"c\.npz"):
        from_npz(tmp_path / "c.npz")


def test_a_volume_without_spacing_is_refused_until_it_is_given(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, x=np.zeros((2, 1, 3, 3, 3)), y=["a", "b"])
    with pytest.raises(DataError, match="size of a voxel in mm"):
        open_data(path)
    assert open_data(path, how=Reading(spacing=(2, 1, 1))).spacing == (2, 1, 1)


def test_one_array_per_file_in_a_folder_per_person(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "1.npz", x=np.ones((2, 7)), rate=10)
    data = open_data(tmp_path)
    assert (data.kind, data.channels, data.rate) == ("signal", 2, 10)
    np.savez(tmp_path / "b" / "2.npz", x=np.ones((2, 7)), rate=20)
    with pytest.raises(DataError, match=r"2\.npz.* 20 Hz .* 10 Hz; resample"):
        in_memory(open_data(tmp_path))


# signals


@pytest.mark.parametrize("width", [2, 4])
def test_sound_is_scaled_to_1(tmp_path, width):
    top = 2 ** (8 * width - 1)
    sound(tmp_path / "a.wav", np.array([[0, top // 2, -top], [0, 0, top - 1]]), rate=16000, width=width)
    signal = read_wav(tmp_path / "a.wav")
    assert signal.rate == 16000
    np.testing.assert_allclose(signal.values, [[0, 0.5, -1], [0, 0, 1]], atol=1e-4)


def test_sound_of_8_and_24_bits(tmp_path):
    for width, raw in ((1, bytes([128, 192, 0])), (3, bytes([0, 0, 0, 0, 0, 0x40, 0, 0, 0x80]))):
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, width, 8000, 3, "NONE", ""))
            file.writeframes(raw)
        np.testing.assert_allclose(read_wav(tmp_path / "a.wav").values, [[0, 0.5, -1]])


def test_other_rates_cut_and_wrong_sound_are_refused(tmp_path):
    sound(tmp_path / "d" / "a" / "1.wav", np.zeros((1, 9)))
    sound(tmp_path / "d" / "b" / "2.wav", np.zeros((1, 9)), rate=4000)
    with pytest.raises(DataError, match=r"2\.wav.*resample"):
        in_memory(open_data(tmp_path / "d"))
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"x\.wav"):
        read_wav(tmp_path / "x.wav")
    sound(tmp_path / "e.wav", np.zeros((1, 0)))
    with pytest.raises(DataError, match="empty"):
        read_wav(tmp_path / "e.wav")


def test_signals_of_different_lengths_are_named_with_the_fix(tmp_path):
    sound(tmp_path / "a" / "1.wav", np.zeros((1, 9)))
    sound(tmp_path / "b" / "2.wav", np.zeros((1, 10)))
    with pytest.raises(DataError, match=r"give a window"):
        in_memory(open_data(tmp_path))


def test_a_wfdb_record_and_its_beats(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    time = np.arange(500) / 250
    values = np.stack([np.sin(time), np.cos(time)], axis=1)
    (tmp_path / "p1").mkdir()
    place = str(tmp_path / "p1")
    wfdb.wrsamp("r1", fs=250, units=["mV"] * 2, sig_name=["I", "II"], p_signal=values, fmt=["16"] * 2, write_dir=place)
    wfdb.wrann("r1", "atr", np.array([10, 300]), symbol=["N", "V"], write_dir=place)
    signal = read_wfdb(tmp_path / "p1" / "r1.hea")
    assert (signal.rate, signal.names) == (250, ("I", "II"))
    np.testing.assert_allclose(signal.values, values.T, atol=1e-3)
    events = read_events(tmp_path / "p1" / "r1")
    assert events.samples.tolist() == [10, 300]
    assert events.symbols == ("N", "V")
    data = from_folder(tmp_path)
    assert len(data) == 1
    assert (data.kind, data.channels, data.rate) == ("signal", 2, 250)
    (tmp_path / "list.csv").write_text("path,label\np1/r1,sick\n")
    assert from_csv(tmp_path / "list.csv")[0].shape == (2, 500)
    (tmp_path / "p1" / "r1.dat").unlink()
    with pytest.raises(DataError, match="side by side"):
        read_wfdb(tmp_path / "p1" / "r1")
    with pytest.raises(DataError, match=r"annotations \(\.atr\)"):
        read_events(tmp_path / "p1" / "r2")


# volumes


def test_a_nifti_volume_is_turned_upwards_forwards_right(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    assert volume.spacing == (3, 2, 1)
    np.testing.assert_array_equal(volume.values[0], values.transpose(2, 1, 0))
    # The same voxels written from right to left lie as before once turned.
    mirrored = np.diag([-1.0, 2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(values[::-1].copy(), mirrored), tmp_path / "b.nii")
    np.testing.assert_array_equal(read_nifti(tmp_path / "b.nii").values, volume.values)


def test_a_nifti_file_that_says_no_spacing_or_is_cut_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), None), tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"size of a voxel in mm in .*a\.nii"):
        read_nifti(tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii", spacing=(1, 1, 1)).spacing == (1, 1, 1)
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:200])
    with pytest.raises(DataError, match=r"a\.nii"):
        read_nifti(tmp_path / "a.nii")


def test_volumes_of_other_spacing_are_refused(tmp_path):
    for name, size in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.diag([size, 1, 1, 1]))
        nibabel.save(image, tmp_path / name / "v.nii")
    with pytest.raises(DataError, match=r"one spacing.*resample the volumes"):
        in_memory(open_data(tmp_path))


def test_a_dicom_series_is_sorted_rescaled_and_measured(tmp_path):
    for number, (height, value) in enumerate([(4.0, 3), (0.0, 1), (2.0, 2)]):
        dicom(tmp_path / "anna" / "scan" / f"{number}.dcm", height, value)
    volume = read_dicom(tmp_path / "anna" / "scan")
    assert volume.spacing == (2, 0.5, 0.7)
    assert volume.values.shape == (1, 3, 3, 4)
    np.testing.assert_array_equal(volume.values[0, :, 0, 0], [-998, -996, -994])
    data = open_data(tmp_path)
    assert len(data) == 1
    assert (data.kind, data.spacing) == ("volume", (2, 0.5, 0.7))


def test_a_missing_slice_two_series_and_no_spacing_are_refused(tmp_path):
    for height in (0, 2, 6):
        dicom(tmp_path / "gap" / f"{height}.dcm", height, 1)
    with pytest.raises(DataError, match="from 2 to 4 mm; a slice is missing"):
        read_dicom(tmp_path / "gap")
    dicom(tmp_path / "two" / "a.dcm", 0, 1)
    dicom(tmp_path / "two" / "b.dcm", 2, 1, series="9.9")
    with pytest.raises(DataError, match="there are 2"):
        read_dicom(tmp_path / "two")
    for height in (0, 2):
        dicom(tmp_path / "bare" / f"{height}.dcm", height, 1, spacing=None)
    with pytest.raises(DataError, match="size of a voxel"):
        read_dicom(tmp_path / "bare")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.dcm").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.dcm"):
        read_dicom(tmp_path / "bad")


# clips


def test_a_clip_is_thinned_out_evenly_and_resized(tmp_path):
    path = tmp_path / "wave" / "clip.mp4"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for i in range(21):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = read_clip(path, frames=5, size=(8, 16))
    assert clip.values.shape == (3, 5, 8, 16)
    np.testing.assert_allclose(clip.values.mean((0, 2, 3)) * 255, [0, 50, 100, 150, 200], atol=6)
    assert clip.rate == pytest.approx(2)
    data = open_data(tmp_path, how=Reading(size=(8, 8), frames=4))
    assert (data.kind, data[0].shape) == ("clip", (3, 4, 8, 8))
    (tmp_path / "no.mp4").write_bytes(b"no clip")
    with pytest.raises(DataError, match=r"no\.mp4"):
        read_clip(tmp_path / "no.mp4")


@pytest.mark.parametrize(
    ("package", "read", "name"),
    [
        ("wfdb", read_wfdb, "a.hea"),
        ("nibabel", read_nifti, "a.nii"),
        ("pydicom", read_dicom, ""),
        ("av", read_clip, "a.mp4"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch, tmp_path, package, read, name):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"mien\[training\]"):
        read(tmp_path / name)


def test_wrong_ways_of_reading_are_refused():
    with pytest.raises(OptionError, match="size of at least"):
        Reading(size=(0, 3))
    with pytest.raises(OptionError, match="frames=0"):
        Reading(frames=0)
    with pytest.raises(OptionError, match="above 0 mm"):
        Reading(spacing=(1, 0, 1))
