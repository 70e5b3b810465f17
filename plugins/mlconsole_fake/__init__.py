"""A backend that lies, for tests and for trying the console against a bad day: real local jobs, false answers."""

from mlconsole_fake.backend import FakeBackend

__all__ = ["FakeBackend"]
