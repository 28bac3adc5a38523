"""What `mfv2a extract` starts ends with it."""

from __future__ import annotations

import subprocess
import sys

PARENT = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from mfv2a.jobs.extract import start_worker

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=start_worker) as pool:
        pool.submit(abs, -1).result()
        pool.submit(time.sleep, 600)
        print("busy", flush=True)
        time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"
        parent.kill()
        # The worker holds the other end of the pipe as long as it lives.
        rest, _ = parent.communicate(timeout=60)
    assert rest == ""
