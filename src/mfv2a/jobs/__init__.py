"""The verbs without a terminal: what happens to folders, runs and batches."""
