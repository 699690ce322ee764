"""An options record as command-line options: names, types, choices, defaults and help come from the record."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

import click

from mien.errors import OptionError
from mien.style.options import StyleOptions, parse_layers

_LAYERS = ("content_layers", "style_layers")
_NUMBERS = {"steps": int, "style_weights": float, "widths": int}
_NAMES = ("freeze",)
_SWITCH = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False, "1": True, "0": False}


def options_of(record: type[Any], *, skip: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """A decorator that gives a command one option for every field of `record`; unset ones are None."""

    def decorate(command: Any) -> Any:
        for item in reversed(dataclasses.fields(record)):
            if item.name not in skip:
                command = _option(item)(command)
        return command

    return decorate


def _option(item: dataclasses.Field[Any]) -> Callable[[Any], Any]:
    flag = "--" + item.name.replace("_", "-")
    meta, default = item.metadata, item.default
    help = meta["help"]
    if isinstance(default, bool):
        both = f"{flag}/--no-{flag[2:]}" if default else flag
        return click.option(both, item.name, is_flag=True, default=None, help=help)
    if meta["choices"]:
        help = f"{help}: {', '.join(meta['choices'])}"
    if default not in (None, ()):
        help = f"{help} [{','.join(map(str, default)) if isinstance(default, tuple) else default}]"
    kind: Any = str
    if isinstance(default, int) or item.type == "int | None":
        kind = int
    elif isinstance(default, float) or item.type == "float | None":
        kind = float
    return click.option(flag, item.name, type=kind, default=None, metavar=item.name.upper(), help=help)


def parsed(name: str, value: Any) -> Any:
    """The text of one option as the record's field takes it."""
    if not isinstance(value, str):
        return value
    if name in _LAYERS:
        return parse_layers(value)
    if name in _NAMES:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if name in _NUMBERS:
        try:
            return tuple(_NUMBERS[name](part) for part in value.split(","))
        except ValueError:
            raise OptionError(f"Expected {name} as numbers with commas, like 60,40,20; got {value!r}.") from None
    return value


def given(values: dict[str, Any], record: type[Any] = StyleOptions) -> dict[str, Any]:
    """The options of `record` that were set, parsed, from a command's keyword arguments."""
    names = {item.name for item in dataclasses.fields(record)}
    return {name: parsed(name, value) for name, value in values.items() if name in names and value is not None}


def sweep(text: str) -> tuple[str, tuple[Any, ...]]:
    """`strength=0.2,0.5,0.8` as the option's name and its values; lists of layers or steps are parted by semicolons."""
    name, equals, rest = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    fields = {item.name: item for item in dataclasses.fields(StyleOptions)}
    if not equals or name not in fields:
        near = difflib.get_close_matches(name, fields, n=1)
        hint = f" Did you mean {near[0]}?" if near and name not in fields else ""
        raise OptionError(f"Expected --sweep OPTION=VALUE,VALUE,… with a setting of mien style, got {text!r}.{hint}")
    parts = [p.strip() for p in rest.split(";" if name in (*_LAYERS, *_NUMBERS) else ",") if p.strip()]
    if not parts:
        raise OptionError(f"Expected at least one value to sweep {name} over, got none.")
    return name, tuple(_value(fields[name], part) for part in parts)


def _value(item: dataclasses.Field[Any], text: str) -> Any:
    if isinstance(item.default, bool):
        if text.lower() not in _SWITCH:
            raise OptionError(f"Expected yes or no to sweep {item.name} over, got {text!r}.")
        return _SWITCH[text.lower()]
    number = item.type in ("int", "float", "float | None")
    try:
        return (int(text) if item.type == "int" else float(text)) if number else parsed(item.name, text)
    except ValueError:
        raise OptionError(f"Expected numbers to sweep {item.name} over, got {text!r}.") from None
