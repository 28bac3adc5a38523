"""The convolution of TensorFlow's image networks: ceil(input / stride) outputs, odd pixel on the right."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SameConv2d(nn.Conv2d):
    """A 2-D convolution with TensorFlow's SAME padding, always with a bias (batch norm is folded into it)."""

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride=stride, groups=groups)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve [B, C, H, W] -> [B, C', ceil(H / stride), ceil(W / stride)]."""
        size, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-n // stride) - 1) * stride + size - n, 0) for n in image.shape[-2:])
        margin = (rows // 2, columns // 2)
        if rows % 2 or columns % 2:  # the convolution itself pads alike on both sides only
            image = F.pad(image, (margin[1], columns - margin[1], margin[0], rows - margin[0]))
            margin = (0, 0)
        return F.conv2d(image, self.weight, self.bias, self.stride, margin, self.dilation, self.groups)
