"""What a model makes of pictures and words: one object a family, which the pipeline is given.

Knows the networks and how their features lie on a clip's timeline; not files, windows or how sound is sampled.
"""
