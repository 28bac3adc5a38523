"""The examples for clusters: they parse, and what they name exists. No engine and no cluster runs them here."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mfv2a.cli import app

ROOT = Path(__file__).parents[1]
SLURM = ROOT / "examples" / "cluster" / "slurm-array.sbatch"
KUBERNETES = ROOT / "examples" / "cluster" / "kubernetes-indexed-job.yaml"
PROGRAM: Any = typer.main.get_command(app)


def known_options(command: str) -> set[str]:
    return {word for parameter in PROGRAM.commands[command].params for word in parameter.opts}


def options_of(line: str) -> list[str]:
    words = shlex.split(line)
    return [word for word in words[words.index("dub") :] if word.startswith("--")]


def test_the_slurm_array_is_a_script_whose_options_exist(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", SLURM], check=True)
    text = SLURM.read_text()
    (line,) = re.findall(r"^exec (mfv2a dub .*?)$", text.replace("\\\n", " "), re.M)
    assert "--shard" in options_of(line)
    assert set(options_of(line)) <= known_options("dub")
    program = tmp_path / "mfv2a"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}
    words = subprocess.run(
        ["bash", SLURM, "in", "out dir", "--seed", "7"],
        env=environment | {"SLURM_CPUS_PER_TASK": "4"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert words[:8] == ["dub", "in", "--out", "out dir", "--shard", "3/8", "--workers", "4"]
    assert words[-2:] == ["--seed", "7"]


def test_the_kubernetes_job_shares_its_list_among_its_pods() -> None:
    job = yaml.safe_load(KUBERNETES.read_text())
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    assert spec["template"]["spec"]["restartPolicy"] == "Never", "a limit for each index needs it"
    (container,) = spec["template"]["spec"]["containers"]
    (line,) = container["args"]
    assert line.startswith("exec mfv2a dub "), "signals must reach mfv2a"
    assert set(options_of(line)) <= known_options("dub")
    assert f"+ 1))/{spec['completions']}" in line
    volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    names = [name for line in copied for name in line.split()]
    assert names
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in names:
        assert (ROOT / name).exists()
        assert name in allowed


def test_the_tables_of_scaling_are_those_of_the_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = ROOT / "docs" / "measured" / "throughput.json"
    assert json.loads(figures.read_text())["clips"] >= 100
    monkeypatch.setattr("sys.argv", ["scaling.py", str(figures)])
    runpy.run_path(str(ROOT / "scripts" / "scaling.py"), run_name="__main__")
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    text = (ROOT / "docs" / "SCALING.md").read_text()
    assert len(told) > 10
    assert [line for line in told if line not in text] == []
