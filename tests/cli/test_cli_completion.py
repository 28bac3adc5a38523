"""`--shell-completion`: a script for each shell, and the words it asks for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mfv2a.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_is_printed_for_each_shell(shell: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["--shell-completion", shell]) == 0
    out = capsysbinary.readouterr().out
    assert b"mfv2a" in out
    assert b"_MFV2A_COMPLETE" in out


def test_a_shell_that_is_not_known_is_refused(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["--shell-completion", "tcsh"]) == 2
    assert b"'bash', 'zsh', 'fish'" in capsysbinary.readouterr().err


def test_the_script_gets_commands_and_options() -> None:
    asked = {"_MFV2A_COMPLETE": "complete_bash", "COMP_WORDS": "mfv2a d", "COMP_CWORD": "1"}
    line = [sys.executable, "-m", "mfv2a"]
    done = subprocess.run(line, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["dub", "doctor"], done.stderr
    asked |= {"COMP_WORDS": "mfv2a dub --keep-au", "COMP_CWORD": "2"}
    done = subprocess.run(line, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["--keep-audio"], done.stderr
