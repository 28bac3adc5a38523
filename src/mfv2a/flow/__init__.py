"""Between noise and data: paths, guidance, samplers and losses, on tensors and callables.

This room knows no network, no device and no file. The convention of time, stated once:

    t = 0 is data, t = 1 is noise, 0 <= r <= t <= 1
    z_t = (1 - t) x + t e      v = e - x      z_r = z_t - (t - r) u(z_t, r, t)
    one step: x = e - u(e, 0, 1)
    MeanFlow identity:  u = v - (t - r) du/dt, the derivative taken along (v, dr = 0, dt = 1)

A velocity is any callable `u(z, *, r, t)` of z [B, ...] and times [B] that returns [B, ...].
"""
