"""The log of a training: one row an epoch, as CSV or for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import images
from mien.errors import MissingExtra

if TYPE_CHECKING:
    from mien.training.judging import Measure
    from mien.training.progress import Sums

LOG = "log.csv"


@dataclass(frozen=True)
class Row:
    """One epoch."""

    epoch: int
    step: int
    loss: float
    active: float | None
    spread: float | None
    name: str
    """Of the validation measure; empty where there is none."""
    measure: float | None
    rate: float
    seconds: float
    """Since the start of the training, pauses left out."""


@dataclass
class History:
    """All epochs so far."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, epoch: int, step: int, sums: Sums, found: Measure | None, *, rate: float, seconds: float) -> None:
        """The row of an epoch that has ended."""
        name, value = ("", None) if found is None else (found.name, found.value)
        row = Row(epoch, step, sums.loss, sums.active, sums.spread, name, value, rate, seconds)
        self.rows.append(row)
        self.seconds = seconds

    def series(self, name: str) -> list[tuple[int, float]]:
        """(epoch, value) of one column, where it has a value."""
        found = [(row.epoch, getattr(row, name)) for row in self.rows]
        return [(epoch, float(value)) for epoch, value in found if value is not None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": [asdict(row) for row in self.rows], "seconds": self.seconds}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """What `to_dict` wrote."""
        return cls([Row(**row) for row in values["rows"]], values["seconds"])

    def to_csv(self) -> str:
        """One line an epoch."""
        file = io.StringIO()
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            plain = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
            writer.writerow({k: "" if v is None else v for k, v in plain.items()})
        return file.getvalue()

    def writer(self, folder: Path, how: str) -> Callable[[History], None]:
        """A function that writes the log, called after each epoch. MissingExtra where TensorBoard is not installed."""
        if how == "tensorboard":
            return _tensorboard(folder)

        def write(history: History) -> None:
            images.write_whole(folder / LOG, lambda file: file.write(history.to_csv().encode()))

        return write


def check_log(how: str) -> None:
    """Raise MissingExtra now rather than after the first epoch."""
    if how == "tensorboard":
        _summary_writer()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("A TensorBoard log", "tensorboard") from error
    return SummaryWriter


def _tensorboard(folder: Path) -> Callable[[History], None]:
    writer = _summary_writer()(log_dir=str(folder / "tensorboard"))

    def write(history: History) -> None:
        row = history.rows[-1]
        for name, value in asdict(row).items():
            if isinstance(value, float):
                writer.add_scalar(row.name if name == "measure" else name, value, row.step)
        writer.flush()

    return write
