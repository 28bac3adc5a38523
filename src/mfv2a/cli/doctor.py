"""`mfv2a doctor`: whether it can work here."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mfv2a.cli import console, options

EXIT_CANNOT_START = 4
EPILOG = """
**Examples**

`mfv2a doctor` - what is here, a line each

`mfv2a doctor --json | jq .ok` - for scripts

Exit codes: 0 dubbing can work, 4 it cannot.
"""


def doctor(as_json: options.JsonOption = False) -> None:
    """Look at Python, torch, PyAV, ffmpeg, hub, cache and models, and say whether dubbing can work."""
    from mfv2a.jobs.doctor import can_dub, examine

    findings = examine()
    well = can_dub(findings)
    if as_json:
        console.print_json({"ok": well, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = "ok" if finding.ok else "--"
            hint = f" - {finding.hint}" if not finding.ok and finding.hint else ""
            console.print_line(f"{mark}  {finding.name:<10}{finding.state}{hint}")
    if not well:
        raise typer.Exit(EXIT_CANNOT_START)
