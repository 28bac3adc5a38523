"""Networks: each file holds one `nn.Module` and the frozen configuration it is built from.

This room knows torch and tensors. It does not know files, checkpoints' names, samplers, losses or video.

Shape letters, used in every docstring of the project:

    B batch          S samples            F mel frames       M mel bins
    N latent frames  C latent channels    V CLIP frames      Y sync frames
    L text tokens    D width              H heads            T video frames
"""
