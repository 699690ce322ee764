"""Files into datasets: a folder per person, a table of paths and labels, an NPZ; pictures, sound, ECG, scans, clips.

    data = reading.open_data("people/", size=64)
    data = reading.open_data("beats.csv")
    data = reading.open_data("arrays.npz", kind="signal")

`sources` finds the files and their labels, `files` tells what each one is, `pictures`, `signals`, `volumes` and
`video` read one file each. The packages that read ECG, scans and clips are imported when such a file is met.
"""

from mien.training.reading.files import Reading
from mien.training.reading.sources import from_csv, from_folder, from_npz, open_data

__all__ = ["Reading", "from_csv", "from_folder", "from_npz", "open_data"]
