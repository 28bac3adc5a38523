"""The training loop, its tasks, moving average and checkpoints. Knows no files of data and no terminal."""
