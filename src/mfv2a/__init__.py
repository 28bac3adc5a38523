"""mfv2a gives silent videos sound: batch video-to-audio in one MeanFlow step."""

__version__ = "0.1.0"
