"""docs/benchmarks.md is shared: each benchmark writes its own part of it, and leaves the others' alone."""

from __future__ import annotations

import re
from pathlib import Path

from rich.table import Table

from mien.images import write_whole

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def put(part: str, text: str, *, page: Path = PAGE) -> Path:
    """Write `text` as the page's part of that name, in its old place or at the end."""
    begin, end = f"<!-- {part}: written by benchmarks/{part}.py -->", f"<!-- end of {part} -->"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    new = f"{begin}\n\n{text.strip()}\n\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    whole = pattern.sub(lambda _: new, old) if pattern.search(old) else f"{old.rstrip()}\n\n{new}"
    page.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(page, lambda file: file.write(f"{whole.strip()}\n".encode()), force=True)


def markdown(table: Table) -> str:
    """A table of the terminal's as Markdown, its title above."""
    header = [str(column.header) for column in table.columns]
    rows = list(zip(*(list(column.cells) for column in table.columns), strict=True))
    rules = ["---", *["---:"] * (len(header) - 1)]
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (header, rules, *rows)]
    title = f"**{table.title}**\n\n" if table.title else ""
    caption = f"\n\n{table.caption}" if table.caption else ""
    return f"{title}{chr(10).join(lines)}{caption}\n"
