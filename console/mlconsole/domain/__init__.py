"""Frozen dataclasses and pure functions: what the product is about, without I/O and without a clock."""
