"""The house rules that can be read off the source: who imports whom, one door per package, size, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "mfv2a"
FILES = sorted(PACKAGE.rglob("*.py"))
GROUND = {"errors", "records", "config", "register", "tables", "limits", "disk", "defaults"}
BANNED_NAMES = {"utils", "util", "common", "core", "helpers", "helper", "misc", "ext"}
ALLOWED = {
    "": {"errors", "records", "config", "pipeline", "loader", "jobs"},
    "__main__": {"cli"},
    "errors": set(),
    "records": set(),
    "config": {"errors"},
    "tables": {"errors"},
    "limits": {"errors"},
    "disk": {"errors"},
    "register": {"config", "errors"},
    "defaults": {"errors", "register"},
    "timeline": set(),
    "swell": set(),
    "surroundings": set(),
    "verified": set(),
    "refusals": {"surroundings"},
    "downloads": {"refusals", "surroundings"},
    "hub": {"downloads", "refusals", "surroundings", "verified"},
    "cli": {"jobs"},
    "jobs": {
        *("loader", "packages", "hub", "surroundings", "models", "pipeline", "training", "evaluation"),
        *("data", "media", "scenes", "flow", "timeline", "decoding"),
    },
    "loader": {"layouts", "models", "packages", "parts", "pipeline"},
    "packages": {"hub"},
    "layouts": {"hub", "models", "encoders", "parts", "public_files"},
    "public_files": {"hub", "models"},
    "pipeline": {"flow", "models", "timeline", "work", "encoders", "generators", "parts"},
    "decoding": {"models", "pipeline", "timeline"},
    "generators": {"flow", "models", "timeline", "work"},
    "parts": {"encoders", "timeline"},
    "encoders": {"models", "swell", "timeline", "work"},
    "work": {"swell", "timeline"},
    "training": {"data", "flow", "models"},
    "data": {"scenes"},
    "evaluation": {"models"},
    "media": set(),
    "scenes": set(),
    "models": set(),
    "flow": set(),
    "assets": set(),
}
"""Room -> rooms it may import, besides itself and the ground."""

DOORS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "click": set(),
    "subprocess": {"media"},
    "ffmpeg": {"media"},
    "imageio_ffmpeg": {"media"},
    "av": {"media"},
    "cv2": {"media"},
    "soundfile": {"media"},
    "pyloudnorm": {"media"},
    "scenedetect": {"media"},
    "fsspec": {"media"},
    "huggingface_hub": {"hub", "downloads", "refusals"},
    "numba": {"scenes", "models"},
    "tokenizers": {"models"},
    "transformers": {"models"},
    "torchaudio": {"models", "pipeline", "decoding"},
    "torchvision": {"models", "pipeline"},
    "ray": {"jobs"},
    "jinja2": {"jobs"},
    "pystoi": {"evaluation"},
    "hear21passt": {"models"},
    "imagebind": {"models"},
}
"""Outside package -> the only rooms that may import it."""

NO_TORCH = {"media", "hub", "downloads", "refusals", "surroundings", "verified", "scenes", "cli", *GROUND}
EFFECTS = re.compile(
    r"torch\.set_|torch\.manual_seed|\.mkdir\(|os\.makedirs|os\.environ\[|os\.putenv|setdefault\(|logging\.basicConfig|"
    r"\.getLogger\(\)|\.seed\(|\bopen\(|print\("
)


def room(path: Path) -> str:
    """The room of a file: its first folder, else its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Absolute names of imported modules, with their lines; `from mfv2a import x` counts as mfv2a.x."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def typing_only(tree: ast.Module) -> set[int]:
    """Lines under `if TYPE_CHECKING`, which never run."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def each_file(*rooms: str) -> pytest.MarkDecorator:
    files = [path for path in FILES if not rooms or room(path) in rooms]
    return pytest.mark.parametrize("path", files, ids=lambda path: path.relative_to(PACKAGE).as_posix())


@each_file()
def test_rooms_import_only_downwards(path: Path) -> None:
    own = room(path)
    for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] != "mfv2a" or len(parts) < 2 or parts[1].startswith("__"):
            continue
        target = parts[1]
        assert target in {own} | GROUND | ALLOWED[own] or target not in ALLOWED, f"{path}:{line} imports {name}"


@each_file()
def test_every_outside_package_has_one_door(path: Path) -> None:
    own = room(path)
    for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
        package = name.split(".")[0]
        assert own in DOORS.get(package, {own}), f"{path}:{line} imports {package}"
        if package == "torch":
            assert own not in NO_TORCH, f"{path}:{line} imports torch"


@each_file("cli", "loader", "")
def test_what_help_loads_imports_heavy_packages_only_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    asleep = typing_only(tree)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno not in asleep:
            for name, line in imports(node):
                heavy = {"torch", "numpy", "rich"}
                assert name.split(".")[0] not in heavy, f"{path}:{line} imports {name} at once"
                if room(path) == "cli":
                    assert not name.startswith(("mfv2a.jobs", "mfv2a.records")), f"{path}:{line} imports {name} at once"


@each_file()
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 300, f"{path} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines < 50, f"{path}:{node.lineno} {node.name} has {lines} lines of code"


@each_file()
def test_names_say_what_is_inside(path: Path) -> None:
    assert not set(path.relative_to(PACKAGE).with_suffix("").parts) & BANNED_NAMES
    assert len(path.relative_to(PACKAGE).parts) <= 2, "packages are one level deep"


@each_file()
def test_modules_and_public_functions_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name} has no docstring"


@each_file()
def test_importing_does_no_work(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        passive = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
        if isinstance(node, passive) or ast.unparse(node).startswith("if __name__"):
            continue
        found = EFFECTS.search(re.sub(r"'[^']*'|\"[^\"]*\"", "''", ast.unparse(node)))
        assert not found, f"{path}:{node.lineno} does work at import: {found and found.group()}"
