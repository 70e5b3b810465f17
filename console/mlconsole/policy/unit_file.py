"""The systemd user unit of a watcher."""

from __future__ import annotations

from pathlib import Path

from mlconsole import config

NAME = "mlconsole-watch.service"
UNIT = """[Unit]
Description=mlconsole watcher
Documentation=man:systemd.service(5)

[Service]
ExecStart={command}
Restart=always
RestartSec=2
# What was launched outlives the watcher: a stop or a restart ends this one process alone.
KillMode=process

[Install]
WantedBy=default.target
"""


def unit_path() -> Path:
    """Where the unit goes."""
    return config.user_units() / NAME


def unit_text(home: Path) -> str:
    """The unit of a watcher of a catalog."""
    words = [config.python(), "-P", "-m", "mlconsole", "--catalog", str(home), "watch"]
    return UNIT.format(command=" ".join(_quoted(word) for word in words))


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it (systemd.service(5), Command lines): no specifier, no variable."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if text != word or any(char.isspace() or char in "';" for char in text) else text
