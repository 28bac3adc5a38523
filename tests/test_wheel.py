"""What `pip install` gives: the files of the wheel, and a wheel that works away from the checkout."""

from __future__ import annotations

import email.parser
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mfv2a"
LIMIT_FILE_BYTES = 24 << 20
LIMIT_ASSETS_BYTES = 90_000_000


def sources() -> set[str]:
    """What the wheel must hold of the package: everything but caches."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files if not path.name.startswith(".")}


def test_the_wheel_holds_the_package_its_assets_and_the_register_and_nothing_else() -> None:
    from hatchling.builders.wheel import WheelBuilder

    builder = WheelBuilder(str(ROOT))
    chosen = {str(file.distribution_path) for file in builder.recurse_selected_project_files()}
    forced = {str(file.distribution_path) for file in builder.recurse_forced_files(builder.config.force_include)}
    names = {name.replace(os.sep, "/") for name in chosen | forced}
    assert names == sources() | {"mfv2a/checkpoints.toml"}
    assert {"mfv2a/py.typed", "mfv2a/assets/NOTICE.md", "mfv2a/assets/text/model.safetensors"} <= names


def test_shipped_files_are_small_enough() -> None:
    sizes = {path: path.stat().st_size for path in (PACKAGE / "assets").rglob("*") if path.is_file()}
    assert max(sizes.values()) <= LIMIT_FILE_BYTES, max(sizes, key=lambda path: sizes[path])
    assert sum(sizes.values()) <= LIMIT_ASSETS_BYTES


def test_weights_that_the_register_names_are_there_with_the_hashes_it_states() -> None:
    import hashlib

    register = tomllib.loads((ROOT / "checkpoints.toml").read_text(encoding="utf-8"))
    shipped = {name: entry for name, entry in register.items() if "path" in entry}
    assert {"embedded", "embedded-vae", "embedded-sync"} <= set(shipped)
    for name, entry in shipped.items():
        digest = hashlib.sha256((PACKAGE / entry["path"]).read_bytes()).hexdigest()
        assert entry["digest"] == f"sha256:{digest}", name


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts" if os.name == "nt" else "bin") / Path(sys.executable).name


def run(*words: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    line = [str(word) for word in words]
    done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_installed_wheel_works_away_from_the_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("mfv2a-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        folder = next(name.split("/")[0] for name in inside if name.endswith(".dist-info/METADATA"))
        told = email.parser.Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
    assert sources() | {"mfv2a/checkpoints.toml"} <= inside
    assert {f"{folder}/licenses/LICENSE", f"{folder}/licenses/NOTICE"} <= inside
    assert told["License-Expression"] == "Apache-2.0"

    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = python_in(home)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=tmp_path)
    # The heavy packages are those of the tests' own environment; its link to the checkout comes after the wheel.
    (site / "heavy.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    where = run(python, "-c", "import mfv2a; print(mfv2a.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(site)

    program = python.with_name("mfv2a")
    assert run(program, "--version", cwd=tmp_path).startswith("mfv2a ")
    assert run(python, "-m", "mfv2a", "--version", cwd=tmp_path).startswith("mfv2a ")
    words = ("tta", "rain", "--model", "tiny", "--duration", "0.5", "-o", "rain.wav", "--quiet")
    assert run(program, *words, cwd=tmp_path) == "rain.wav\n"
    samples, rate_hz = soundfile.read(tmp_path / "rain.wav")
    assert (samples.shape, rate_hz) == ((24_000,), 48_000)
    assert np.isfinite(samples).all()
