"""Every error that mlconsole raises on purpose, with the exit code each one ends a command with.

::

    MlconsoleError                 1
    ├── ActionFailed               1   the action was tried and did not succeed
    │   ├── NoRoom                 1   what was asked for is in use; waiting may help
    │   └── SecretsLost            1   they were kept in memory only, for a run that waited
    ├── CatalogError               1
    │   ├── CatalogBusy            1   another process held the write lock past the deadline
    │   ├── CatalogDamaged         1
    │   ├── CatalogNewer           2   written by a newer mlconsole
    │   ├── CatalogReadOnly        1
    │   ├── CatalogUnsafePlace     2   on a network file system
    │   ├── DiskFull               1
    │   └── SearchStopped          1   past its deadline, or no longer wanted
    ├── LeaseLost                  1   another watcher has taken over
    ├── UsageError                 2   the command line, a filter or a setting is wrong
    │   ├── AmbiguousName          2
    │   ├── ConfigError            2
    │   │   └── FileMistakes       2   several places of one file
    │   └── QueryError             2   points at its token
    ├── ReadOnlyMode               2   the action changes something and the console is read-only
    ├── ConfirmationNeeded         3
    ├── NotFound                   4
    ├── BackendUnreachable         5
    ├── CheckFailed                6   a check found something
    └── Interrupted              130
"""

from __future__ import annotations

from collections.abc import Sequence


class MlconsoleError(Exception):
    """Something failed in a way a person can act on.

    Args:
        message: what failed, with the value in quotes.
        hint: what to do next; may be empty.
    """

    exit_code = 1
    slug = "failed"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ActionFailed(MlconsoleError):
    """An action was carried out and did not reach its goal."""

    slug = "action_failed"


class NoRoom(ActionFailed):
    """What was asked for is there and in use by others: it may be free later."""

    slug = "no_room"


class SecretsLost(ActionFailed):
    """What a waiting run was to be started with was in memory, and is gone."""

    slug = "secrets_lost"


class CatalogError(MlconsoleError):
    """The catalog could not be read or written."""

    slug = "catalog"


class CatalogBusy(CatalogError):
    """Another process held the catalog's write lock for longer than we wait."""

    slug = "catalog_busy"


class CatalogDamaged(CatalogError):
    """The catalog's bytes are not a sound database."""

    slug = "catalog_damaged"


class CatalogNewer(CatalogError):
    """The catalog was written by a newer version of this program."""

    exit_code = 2
    slug = "catalog_newer"


class CatalogReadOnly(CatalogError):
    """The catalog cannot be written by this user."""

    slug = "catalog_read_only"


class CatalogUnsafePlace(CatalogError):
    """The catalog's directory is on a file system that SQLite's locks do not work on."""

    exit_code = 2
    slug = "catalog_unsafe_place"


class DiskFull(CatalogError):
    """A write failed for want of space."""

    slug = "disk_full"


class SearchStopped(CatalogError):
    """A search was interrupted, or took longer than it was given."""

    slug = "search_stopped"


class LeaseLost(MlconsoleError):
    """A watcher went on after another one had taken over."""

    slug = "lease_lost"


class UsageError(MlconsoleError):
    """The command line, a filter or a value is wrong."""

    exit_code = 2
    slug = "usage"


class AmbiguousName(UsageError):
    """A prefix or a name fits more than one thing."""

    slug = "ambiguous"


class ConfigError(UsageError):
    """A setting is wrong; the message names the file and the key."""

    slug = "config"


class FileMistakes(ConfigError):
    """A file has mistakes, each one a line that names file and line; what is sound in it may have been used.

    Args:
        mistakes: the lines.
        message: what became of the rest.
    """

    slug = "file_mistakes"

    def __init__(self, mistakes: Sequence[str], message: str) -> None:
        super().__init__(" ".join([*mistakes, message]))
        self.mistakes = tuple(mistakes)
        self.summary = message


class QueryError(UsageError):
    """A filter does not parse.

    Args:
        message: what is wrong.
        hint: what to do next.
        text: the whole filter.
        start: index of the first character of the wrong token.
        end: index after its last character.
    """

    slug = "query"

    def __init__(self, message: str, hint: str = "", *, text: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message, hint)
        self.text = text
        self.start = start
        self.end = max(end, start + 1)

    def pointer(self) -> str:
        """Two lines: the filter, and carets under the wrong token."""
        return f"{self.text}\n{' ' * self.start}{'^' * (self.end - self.start)}"


class ReadOnlyMode(MlconsoleError):
    """The action would change something and this session is read-only."""

    exit_code = 2
    slug = "read_only"


class ConfirmationNeeded(MlconsoleError):
    """A destructive action was asked for without a confirmation."""

    exit_code = 3
    slug = "confirmation_needed"


class NotFound(MlconsoleError):
    """Nothing in this catalog answers to that id or name."""

    exit_code = 4
    slug = "not_found"


class BackendUnreachable(MlconsoleError):
    """A backend gave no answer; what it runs may well be alive."""

    exit_code = 5
    slug = "backend_unreachable"


class CheckFailed(MlconsoleError):
    """A check ran and found something."""

    exit_code = 6
    slug = "check_failed"


class Interrupted(MlconsoleError):
    """The user pressed Ctrl-C."""

    exit_code = 130
    slug = "interrupted"
