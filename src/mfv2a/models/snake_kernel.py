"""The loops behind `snake.py`, for one processor core: knows arrays, not tensors, networks or threads."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call, type-arg"
# numba infers the types of its kernels.

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 2048  # samples at a time: what lies between the three steps stays in the core's own cache
REACH = 3  # samples on either side that each filter sees
INVERSE_PI = np.float32(1 / np.pi)
# sin²(pi r) = s q(s) with s = r², |r| <= 1/2: q interpolated at Chebyshev's points, error 2e-12 before rounding.
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7 = (
    np.float32(q)
    for q in (9.8696044, -32.46969701, 42.72840828, -30.12231017, 13.2129625, -3.95034367, 0.85039017, -0.12389721)
)


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _bend(x, rate, gain):
    """The value of x + sin²(rate x pi) gain."""
    half = np.float32(0.5)
    turns = x * rate
    rest = turns - np.floor(turns + half)
    s = rest * rest
    wave = s * (Q0 + s * (Q1 + s * (Q2 + s * (Q3 + s * (Q4 + s * (Q5 + s * (Q6 + s * Q7)))))))
    return x + wave * gain


@njit(cache=True, nogil=True, fastmath={"contract"})
def _rise(source, up, rate, gain, even, odd):
    """Both phases of the doubled rate, bent: len(even) values each, of len(even) + 6 of the source."""
    u0, u1, u2, u3, u4, u5, u6, u7, u8, u9, u10, u11 = (
        up[0], up[1], up[2], up[3], up[4], up[5], up[6], up[7], up[8], up[9], up[10], up[11]
    )  # fmt: skip
    for k in range(len(even)):
        a, b, c, d = source[k], source[k + 1], source[k + 2], source[k + 3]
        e, f, g = source[k + 4], source[k + 5], source[k + 6]
        here = a * u11 + b * u9 + c * u7 + d * u5 + e * u3 + f * u1
        between = b * u10 + c * u8 + d * u6 + e * u4 + f * u2 + g * u0
        even[k] = _bend(here, rate, gain)
        odd[k] = _bend(between, rate, gain)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _fall(even, odd, down, out):
    """The simple rate again: len(out) values of len(out) + 6 of each phase."""
    d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11 = (
        down[0], down[1], down[2], down[3], down[4], down[5], down[6], down[7], down[8], down[9], down[10], down[11]
    )  # fmt: skip
    for k in range(len(out)):
        out[k] = (
            odd[k] * d0 + even[k + 1] * d1 + odd[k + 1] * d2 + even[k + 2] * d3 + odd[k + 2] * d4
            + even[k + 3] * d5 + odd[k + 3] * d6 + even[k + 4] * d7 + odd[k + 4] * d8 + even[k + 5] * d9
            + odd[k + 5] * d10 + even[k + 6] * d11
        )  # fmt: skip


@njit(cache=True, nogil=True, fastmath={"contract"})
def bend_rows(x, frequency, gain, up, down, out, first, last):
    """Rows `first` to `last` of x [R, S] to `out`, at twice the rate in between.

    The two filters are functions of their own: each counts from the start of its arrays, so the compiler sees that no
    index is negative and no array reaches into another, and does 16 samples at a time.

    Args:
        x: [R, S] float32.
        frequency: [D] of each channel, in radians; row r is of channel r modulo D.
        gain: [D] of each channel.
        up: filter before, 12 taps.
        down: filter after, 12 taps.
        out: [R, S] float32, another array than x.
        first: row to begin with.
        last: row to end before.
    """
    samples, channels = x.shape[1], frequency.shape[0]
    source = np.empty(BLOCK + 4 * REACH, np.float32)
    even, odd = np.empty(BLOCK + 2 * REACH, np.float32), np.empty(BLOCK + 2 * REACH, np.float32)
    for row in range(first, last):
        rate, height = frequency[row % channels] * INVERSE_PI, gain[row % channels]
        for begin in range(0, samples, BLOCK):
            end = min(begin + BLOCK, samples)
            low, high = max(begin - REACH, 0), min(end + REACH, samples)
            left, right = max(low - REACH, 0), min(high + REACH, samples)
            ahead = left - (low - REACH)  # places before the first sample
            behind = ahead + right - left
            source[:ahead] = x[row, 0]
            source[ahead:behind] = x[row, left:right]
            source[behind : high - low + 2 * REACH] = x[row, samples - 1]
            skip, full = low - (begin - REACH), high - (begin - REACH)
            _rise(source, up, rate, height, even[skip:full], odd[skip:full])
            even[:skip] = odd[:skip] = even[skip]
            even[full : end - begin + 2 * REACH] = odd[full : end - begin + 2 * REACH] = odd[full - 1]
            _fall(even, odd, down, out[row, begin:end])
