"""Judging sound: hits, spectra, distributions, what is heard in it.

This room gets waves and times as arrays. It does not know files, videos, pipelines or how a sound was made.
"""
