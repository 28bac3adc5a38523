"""Made-up worlds: procedural scenes with picture, sound, captions and known onset times.

`make_scene(seed)` draws a scene; `Scene.render` draws its frames, `Scene.sound` plays it. numba loads only when one
of those two is called. This room knows no torch, no files and no terminal.
"""

from __future__ import annotations

from mfv2a.scenes.captions import CAPTIONS, Wordings
from mfv2a.scenes.scene import FAMILIES, HELD_OUT_SEED, LABELS, Scene, make_scene
from mfv2a.scenes.script import Event

__all__ = ["CAPTIONS", "FAMILIES", "HELD_OUT_SEED", "LABELS", "Event", "Scene", "Wordings", "make_scene"]
