"""Settings and paths. Nothing else in the console reads the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mlconsole.errors import ConfigError
from mlconsole.records import field, record

KNOWN_KEYS = {
    "home",
    "read_only",
    "theme",
    "backend",
    "backends",
    "machine",
    "network_home",
    "queue",
    "notify",
    "endpoints",
    "watcher",
    "gpus",
    "idle",
}
CHECKPOINTS = "checkpoints"
"""The folder of a run that all its attempts save to and resume from."""
IDLE_MODES = ("off", "proposing", "acting")
ENDPOINT_KEYS = {"url", "kind", "every", "latency_ms", "requests", "errors", "error_rate"}
ENDPOINT_KINDS = ("health", "prometheus")
SEVERITIES = ("info", "warning", "critical")
MACHINE_KEYS: dict[str, type | tuple[type, ...]] = {
    "instance": str,
    "provider": str,
    "region": str,
    "tenure": str,
    "usd_per_h": (int, float),
    "gpus": int,
}


@record
class Machine:
    """What this machine is, for its price: the settings file's ``[machine]``.

    Attributes:
        instance: its name in a price book, with ``provider`` and ``region`` where the name alone is not enough.
        tenure: how it is paid for: on_demand, spot, reserved, owned.
        usd_per_h: its price where no book has it; goes before the book.
        gpus: how many GPUs it has; None: as the book says, or as the driver shows.
    """

    instance: str = ""
    provider: str = ""
    region: str = ""
    tenure: str = "on_demand"
    usd_per_h: float | None = None
    gpus: int | None = None


@record
class Settings:
    """What this process was told, by flag, environment or file, in that order of strength.

    Attributes:
        home: the catalog's directory.
        user: the operating system's user name.
        host: this machine's name.
        read_only: refuse every action that changes something.
        network_home: use a catalog on a network file system all the same, one process at a time.
        color: whether colour sequences may be written to a terminal.
        plain: plain lines only: never the alternate screen.
        ascii: draw with ASCII characters alone, as the locale or MLCONSOLE_ASCII says.
        theme: name of the colour theme.
        terminal: what the environment says of the terminal: TERM, TMUX, COLORTERM.
        backend: the backend used when none is named.
        machine: what this machine is, for its price; None when nobody said.
        notify: who is told of alerts: the tables ``[notify.NAME]``, each with its ``kind``.
        endpoints: what is asked whether it is well: the tables ``[endpoints.NAME]``, each with its ``url``.
        watcher: an open console watches where nobody else does.
        gpus: where readings of GPUs come from: the driver when empty, ``simulated``, or the path of a recording.
        idle: what is done about idle GPUs: off, proposing, acting.
        cpu_slots: how many CPU slots the runs on this machine share; None: as many as are asked for.
    """

    home: Path
    user: str
    host: str
    read_only: bool = False
    network_home: bool = False
    color: bool = True
    plain: bool = False
    ascii: bool = False
    theme: str = "dark"
    terminal: Mapping[str, str] = field(default_factory=dict)
    backend: str = "local"
    machine: Machine | None = None
    cpu_slots: int | None = None
    notify: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    watcher: bool = True
    gpus: str = ""
    idle: str = "proposing"

    @property
    def database(self) -> Path:
        """The catalog's SQLite file."""
        return self.home / "catalog.db"

    @property
    def runs(self) -> Path:
        """The folder that holds one folder per run."""
        return self.home / "runs"

    @property
    def live(self) -> Path:
        """The folder of markers of run logs that are being written."""
        return self.home / "live"


def load(
    environ: Mapping[str, str] | None = None,
    *,
    catalog: str | None = None,
    read_only: bool = False,
    no_color: bool = False,
    plain: bool = False,
) -> Settings:
    """Settings from flags over environment over the settings file.

    Raises:
        ConfigError: the settings file does not parse or holds an unknown key or a value of a wrong type.
    """
    env = os.environ if environ is None else environ
    file = _read_file(_config_path(env))
    if catalog == "":
        raise ConfigError("--catalog names no directory.", "Leave it out for the usual catalog.")
    home = catalog or env.get("MLCONSOLE_HOME") or _text(file, "home") or str(_data_home(env))
    dumb = env.get("TERM", "") == "dumb"
    return Settings(
        home=Path(os.path.abspath(os.path.expanduser(home))),
        user=_user(env),
        host=os.uname().nodename,
        read_only=read_only or env.get("MLCONSOLE_READ_ONLY", "") not in ("", "0") or _flag(file, "read_only"),
        network_home=env.get("MLCONSOLE_NETWORK_HOME", "") not in ("", "0") or _flag(file, "network_home"),
        color=not (no_color or dumb or bool(env.get("NO_COLOR"))),
        plain=plain or dumb,
        ascii=env.get("MLCONSOLE_ASCII", "") not in ("", "0") or not _is_utf8(env),
        theme=env.get("MLCONSOLE_THEME") or _text(file, "theme") or "dark",
        terminal={name: env[name] for name in ("TERM", "TMUX", "COLORTERM", "LANG", "TEXTUAL_DRIVER") if name in env},
        backend=env.get("MLCONSOLE_BACKEND") or _text(file, "backend") or "local",
        machine=_machine(file),
        notify=_chosen(_tables(file, "notify", "kind"), "notify", "severity", SEVERITIES),
        endpoints=_chosen(_endpoints(file), "endpoints", "kind", ENDPOINT_KINDS),
        watcher=_flag({"watcher": file.get("watcher", True)}, "watcher"),
        cpu_slots=_cpu_slots(env, file),
        gpus=env.get("MLCONSOLE_GPUS", "") or _text(file, "gpus"),
        idle=_idle(file),
    )


def backend_settings(name: str, environ: Mapping[str, str] | None = None) -> dict[str, object]:
    """The settings file's ``[backends.NAME]``, as it stands there; empty where there is none.

    Raises:
        ConfigError: the settings file does not parse, or ``backends`` is not a table of tables.
    """
    tables = _read_file(_config_path(os.environ if environ is None else environ)).get("backends", {})
    table = tables.get(name, {}) if isinstance(tables, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(f'Setting "backends" must hold tables: [backends.{name}].')
    return table


def launch_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment a launched program starts from: ours, without what belongs to this console alone."""
    env = os.environ if environ is None else environ
    return {k: v for k, v in env.items() if k not in ("MLCONSOLE_RUN_ID", "MLCONSOLE_READ_ONLY")}


def begin_with(name: str, value: str, begin: Callable[[], None]) -> None:
    """Let a library begin that reads a setting from the environment, unless somebody has set it; none of it stays."""
    if name in os.environ:
        begin()
        return
    os.environ[name] = value
    try:
        begin()
    finally:
        del os.environ[name]


def user_editor(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The user's (editor, pager) commands, with the usual fallbacks."""
    env = os.environ if environ is None else environ
    return env.get("VISUAL") or env.get("EDITOR") or "vi", env.get("PAGER") or "less -R"


def _config_path(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(env.get("MLCONSOLE_CONFIG") or Path(base, "mlconsole", "config.toml"))


def _data_home(env: Mapping[str, str]) -> Path:
    return Path(env.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "mlconsole")


def _read_file(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    import tomllib  # 4 ms, needed only where there is a file

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f'Cannot read the settings file "{path}": {error}.', "Mend or remove it.") from error
    for key in table:
        if key not in KNOWN_KEYS:
            known = ", ".join(sorted(KNOWN_KEYS))
            raise ConfigError(f'Unknown setting "{key}" in "{path}".', f"Known: {known}.")
    return table


def _text(file: Mapping[str, object], key: str) -> str:
    value = file.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f'Setting "{key}" must be a text, not "{value}".')
    return value


def _idle(file: Mapping[str, object]) -> str:
    """What is done about idle GPUs: of the settings file alone, so that nothing acts by an inherited variable."""
    mode = _text(file, "idle") or "proposing"
    if mode not in IDLE_MODES:
        raise ConfigError(f'Setting "idle" cannot be "{mode}".', f"One of {', '.join(IDLE_MODES)}.")
    return mode


def _flag(file: Mapping[str, object], key: str) -> bool:
    value = file.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f'Setting "{key}" must be true or false, not "{value}".')
    return value


def _cpu_slots(env: Mapping[str, str], file: Mapping[str, object]) -> int | None:
    table = file.get("queue", {})
    if not isinstance(table, dict):
        raise ConfigError('Setting "queue" must be a table: [queue].')
    for key in table:
        if key != "cpu_slots":
            raise ConfigError(f'Unknown setting "queue.{key}".', "Known: cpu_slots.")
    found = env.get("MLCONSOLE_CPU_SLOTS") or table.get("cpu_slots")
    if found is None:
        return None
    count = int(found) if isinstance(found, str) and found.isdecimal() else found
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 100_000:
        raise ConfigError(f'Setting "queue.cpu_slots" cannot be "{found}".', "Give the number of slots, as in 8.")
    return count


def _tables(file: Mapping[str, object], key: str, needed: str) -> dict[str, Mapping[str, object]]:
    """The tables ``[key.NAME]``, each of which has a text ``needed``."""
    tables = file.get(key, {})
    if not isinstance(tables, dict):
        raise ConfigError(f'Setting "{key}" must hold tables: [{key}.NAME].')
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get(needed), str):
            raise ConfigError(f'Setting "{key}.{name}" must be a table with a text "{needed}": [{key}.{name}].')
    return tables


def _endpoints(file: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    tables = _tables(file, "endpoints", "url")
    for name, table in tables.items():
        if unknown := sorted(set(table) - ENDPOINT_KEYS):
            known = ", ".join(sorted(ENDPOINT_KEYS))
            raise ConfigError(f'Setting "endpoints.{name}.{unknown[0]}" is unknown.', f"Known: {known}.")
    return tables


def _chosen(
    tables: dict[str, Mapping[str, object]], key: str, option: str, known: tuple[str, ...]
) -> dict[str, Mapping[str, object]]:
    """The tables, an option of which is one of a few words where it is there."""
    for name, table in tables.items():
        if table.get(option, known[0]) not in known:
            words = ", ".join(known)
            raise ConfigError(f'Setting "{key}.{name}.{option}" is "{table[option]}".', f"It is one of: {words}.")
    return tables


def _machine(file: Mapping[str, object]) -> Machine | None:
    table = file.get("machine")
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError('Setting "machine" must be a table: [machine].')
    for key, value in table.items():
        if key not in MACHINE_KEYS:
            raise ConfigError(f'Unknown setting "machine.{key}".', f"Known: {', '.join(MACHINE_KEYS)}.")
        if isinstance(value, bool) or not isinstance(value, MACHINE_KEYS[key]):
            raise ConfigError(f'Setting "machine.{key}" cannot be "{value}".')
    found = Machine(**table)
    if found.tenure not in ("on_demand", "spot", "reserved", "owned"):
        raise ConfigError(
            f'Setting "machine.tenure" cannot be "{found.tenure}".', "on_demand, spot, reserved or owned."
        )
    if found.usd_per_h is not None and not 0 < found.usd_per_h <= 100_000:
        raise ConfigError(f'Setting "machine.usd_per_h" cannot be "{found.usd_per_h}".', "Leave out what is not known.")
    if found.gpus is not None and not 0 <= found.gpus <= 1024:
        raise ConfigError(f'Setting "machine.gpus" cannot be "{found.gpus}".')
    return found


def _is_utf8(env: Mapping[str, str]) -> bool:
    """Whether the locale is one of UTF-8, in the order of POSIX; a missing one, as in containers, is taken for one.

    ``PYTHONIOENCODING`` goes before the locale, as it does in Python.
    Python itself sets LC_CTYPE to C.UTF-8 where it cannot use the locale (PEP 538); that says nothing of the terminal.
    """
    lang = env.get("LANG", "")
    ctype = env.get("LC_CTYPE", "")
    if ctype == "C.UTF-8" and lang not in ("", "C", "POSIX"):
        ctype = ""
    given = env.get("PYTHONIOENCODING", "").partition(":")[0]
    return "utf" in (given or env.get("LC_ALL") or ctype or lang or "UTF-8").lower()


def _user(env: Mapping[str, str]) -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return env.get("USER") or f"uid{os.getuid()}"


def user_units(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the user's own systemd units (systemd.unit(5))."""
    env = os.environ if environ is None else environ
    return Path(env.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "systemd", "user")


def python() -> str:
    """The interpreter that runs this console, used to start our own helper programs."""
    return sys.executable
