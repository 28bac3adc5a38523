"""Files that ship with the package: weights, tables and templates. No code."""
