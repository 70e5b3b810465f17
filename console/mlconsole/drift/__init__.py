"""Profiles of data, the tests that compare them, and checks; polars and numpy are loaded where they are used."""
