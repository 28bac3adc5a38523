"""PaSST, from the package hear21passt (extra `[eval]`): class logits and embeddings of 10 s at 32 kHz.

The package's own door would fetch its weights and print its network; here it is built bare and filled from a file.
Nothing is imported before a network is built. A judge of the field's measures; knows waves, not files' places.

Source: Koutini et al., "Efficient Training of Audio Transformers with Patchout", arXiv 2110.05069.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mfv2a.errors import CheckpointError, StartError
from mfv2a.models.upstream import read_public

ARCHITECTURE = "passt_s_swa_p16_128_ap476"
HINT = "pip install 'mfv2a[eval]'"


class Passt(nn.Module):
    """Waves to logits and embeddings side by side.

    Raises:
        StartError: hear21passt is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        with _quiet():
            try:
                from hear21passt.models.passt import get_model
                from hear21passt.models.preprocess import AugmentMelSTFT
                from hear21passt.wrapper import PasstBasicWrapper
            except ImportError as error:
                raise StartError("PaSST needs the package hear21passt", hint=HINT) from error
            front = AugmentMelSTFT(
                n_mels=128, sr=32_000, win_length=800, hopsize=320, n_fft=1024, freqm=48, timem=192, htk=False,
                fmin=0.0, fmax=None, norm=1, fmin_aug_range=10, fmax_aug_range=2000,
            )  # fmt: skip
            whole: Any = PasstBasicWrapper(mel=front, net=get_model(arch=ARCHITECTURE, pretrained=False), mode="all")
        self.whole = whole

    def forward(self, wave: Tensor) -> Tensor:
        """Hear waves [B, 320000] at 32 kHz: [B, 527 logits + 768 values]."""
        with _quiet():
            out: Tensor = self.whole(wave)
        return out


def load_passt(path: Path, *, device: str = "cpu") -> Passt:
    """The network with the published weights (`passt-s-f128-p16-s10-ap.476-swa.pt`).

    Args:
        path: of the file.
        device: where it goes.

    Raises:
        StartError: hear21passt is not installed.
        CheckpointError: the file is damaged or another network's.
    """
    network = Passt()
    try:
        network.whole.net.load_state_dict(read_public(path), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit PaSST: {str(error).splitlines()[0]}") from error
    return network.to(device).eval().requires_grad_(False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The package prints to stdout, which is for data, and warns of what torch has renamed since."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
