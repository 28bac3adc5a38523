"""Golden inputs and outputs of the public reference implementations, on pseudo-weights."""
