"""Pseudo-weights of Woosh's networks: the recipe of `fill.py` with rules that come before its own.

With n a standard normal draw from the key's name, and leaf the part of the key after the last dot:

    leaf `memory_tokens_rope`, `description_pad`         n
    leaf `z_mean`                                        0.3 n
    key ending in `norm_q.weight`, `norm_k.weight`       2 (1 + 0.1 n)       sharp attention
    key ending in `mod_proj.weight`                      4 n / sqrt(inputs)  gates of ordinary size
    any other                                            fill.fill

With the rules of `fill.py` alone, attention would be almost even and the gates so small that a wrong block would hardly
show. Tables (`freqs`, `window`) are computed by the networks, so there is no rule for them.
"""

from __future__ import annotations

import numpy as np

from golden import fill as plain


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Pseudo-weight of one tensor by its public key, float32."""
    normal = plain._normal(name, shape)
    if name.endswith(("memory_tokens_rope", "description_pad")):
        out = normal
    elif name.endswith("z_mean"):
        out = 0.3 * normal
    elif name.endswith(("norm_q.weight", "norm_k.weight")):
        out = 2 * (1 + 0.1 * normal)
    elif name.endswith("mod_proj.weight"):
        out = 4 * normal / np.sqrt(shape[1])
    else:
        out = plain.fill(name, shape)
    return np.asarray(out, dtype=np.float32)
