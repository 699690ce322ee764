"""The lines of the house that no linter holds: what an import costs, what is public, how long things are."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mien

SOURCE = Path(mien.__file__).parent
ROOT = Path(__file__).parent.parent
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = {"torch", "cv2", "matplotlib", "scipy", "skimage", "PIL", "rich", "click", "psutil"}


def where(path):
    return path.relative_to(SOURCE).as_posix()


def name_of(path):
    return ".".join(("mien", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path):
    return [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def public(nodes):
    """Public functions and classes, and the public methods of these."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_there_are_files_to_look_at():
    assert len(FILES) > 20


# imports


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import mien", set()),
        ("import mien.style", set()),
        ("from mien.style import StyleOptions", set()),
        ("import mien.style.options, mien.style.recipes, mien.errors, mien.weights", set()),
        ("import mien.images", {"PIL"}),
        ("import mien.backbones", set()),
        ("import mien.faces", set()),
        ("import mien.faces.recognize, mien.faces.evaluate, mien.faces.risk, mien.faces.video", {"PIL", "cv2"}),
        ("import mien.metrics", set()),
    ],
)
def test_an_import_loads_nothing_heavy(statement, allowed):
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & HEAVY <= allowed
    assert done.stderr == ""


# names


def with_all():
    return [path for path in FILES if "__all__" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", with_all(), ids=where)
def test_all_equals_the_public_names(path):
    module = importlib.import_module(name_of(path))
    names = list(module.__all__)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(module, name) is not None
    own = {node.name for node in tree(path).body if hasattr(node, "name") and not node.name.startswith("_")}
    assert own <= set(names)
    if not own and path.name == "__init__.py":  # it offers what it imports from its own modules, and nothing else
        imports = [
            n for n in ast.walk(tree(path)) if isinstance(n, ast.ImportFrom) and n.module.startswith(name_of(path))
        ]
        imported = {alias.asname or alias.name for node in imports for alias in node.names}
        assert imported | {"__version__", *mien._ROOMS} >= set(names) >= imported


def _is_module(value):
    return type(value) is type(sys)


def test_dir_lists_every_name_once():
    assert dir(mien) == sorted(set(dir(mien)))
    assert set(mien.__all__) <= set(dir(mien))
    assert dir(mien.style) == sorted(mien.style.__all__)
    assert dir(mien.faces) == sorted(mien.faces.__all__)


@pytest.mark.parametrize("module", ["mien", "mien.style", "mien.faces"])
def test_a_lazy_module_refuses_names_it_does_not_have(module):
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = importlib.import_module(module).nothing_of_that_name


def test_public_names_of_style_are_what_they_are_after_everything_is_loaded():
    for path in FILES:
        if where(path).startswith("style/"):
            importlib.import_module(name_of(path))
    # A submodule of the same name would have taken the function's place.
    assert [name for name in mien.style.__all__ if _is_module(getattr(mien.style, name))] == []


# sizes, docstrings, printing


@pytest.mark.parametrize("path", FILES, ids=where)
def test_no_file_has_more_than_450_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.parametrize("path", FILES, ids=where)
def test_no_function_has_more_than_70_lines(path):
    lengths = {f.name: f.end_lineno - f.lineno + 1 for f in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > 70} == {}


@pytest.mark.parametrize("path", FILES, ids=where)
def test_every_module_and_everything_public_has_a_docstring(path):
    assert ast.get_docstring(tree(path))
    assert [node.name for node in public(tree(path).body) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", [p for p in FILES if not where(p).startswith("cli/")], ids=where)
def test_only_the_command_line_prints(path):
    calls = [n.func for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
    assert [f.lineno for f in calls if isinstance(f, ast.Name) and f.id == "print"] == []


@pytest.mark.parametrize("path", FILES, ids=where)
def test_no_assert_and_no_error_passed_over_in_silence(path):
    nodes = list(ast.walk(tree(path)))
    assert [n.lineno for n in nodes if isinstance(n, ast.Assert)] == []
    broad = [n for n in nodes if isinstance(n, ast.ExceptHandler) and (n.type is None or _is_exception(n.type))]
    assert [n.lineno for n in broad if len(n.body) == 1 and isinstance(n.body[0], ast.Pass)] == []


def _is_exception(node):
    return isinstance(node, ast.Name) and node.id in ("Exception", "BaseException")


@pytest.mark.parametrize("path", FILES, ids=where)
def test_no_file_is_called_by_a_name_that_says_nothing(path):
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


# errors


def test_every_error_is_one_of_ours_and_has_an_exit_code():
    from mien import errors

    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(ours) > 5
    assert all(issubclass(e, errors.MienError) for e in ours)
    assert {e.__name__: e.exit_code for e in ours if e.exit_code != 1} == {"OptionError": 2}
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert {"MienError", *drawn} == {e.__name__ for e in ours}


def test_a_missing_extra_says_the_command_that_brings_it():
    from mien.errors import MissingExtra

    assert 'pip install "mien[heic]"' in str(MissingExtra("Reading HEIC", "heic"))


# the release


def test_the_changelog_begins_with_this_version():
    headings = re.findall(r"^## +\[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:1] == [mien.__version__]
