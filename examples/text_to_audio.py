"""Make sounds from words in Python: several prompts in one batch, each written to a WAV file.

python examples/text_to_audio.py sounds "rain on a tin roof" "a dog barks twice"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mfv2a import Mfv2aError, SampleOptions, load_pipeline
from mfv2a.media.audio import write_audio


def main() -> int:
    """Read the words, make the sounds."""
    parser = argparse.ArgumentParser(description="Make sounds from words.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--model", default="embedded")
    words = parser.parse_args()
    try:
        make_sounds(words.prompts, words.folder, seconds=words.seconds, model=words.model)
    except Mfv2aError as error:
        print(f"error: {error} - {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def make_sounds(prompts: list[str], folder: Path, *, seconds: float, model: str) -> None:
    """All prompts in one batch; the same seed gives the same sound whatever else is in it."""
    pipeline = load_pipeline(model)
    works = [pipeline.prepare(None, prompt=prompt, duration_s=seconds, seed=7) for prompt in prompts]
    latents = pipeline.sample(works, SampleOptions(steps=pipeline.info.words_steps or None, batch_size=8))
    folder.mkdir(parents=True, exist_ok=True)
    for number, (work, latent) in enumerate(zip(works, latents, strict=True), 1):
        path = folder / f"{number:02d}.wav"
        write_audio(path, pipeline.decode(work, latent))
        print(path)


if __name__ == "__main__":
    sys.exit(main())
