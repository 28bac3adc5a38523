"""Stored features and labelled sounds -> training batches. Knows no network, loss or terminal."""
