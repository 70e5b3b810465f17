"""What the settings file says of notifiers and endpoints: a mistake is one line, before anything watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlconsole import config
from mlconsole.actions import doctor
from mlconsole.actions.context import Context
from mlconsole.config import Settings
from mlconsole.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[notify.ops]\nurl = 'x'\n", '"notify.ops" must be a table with a text "kind"'),
        ("[notify.ops]\nkind = 'webhook'\nseverity = 'bad'\n", '"notify.ops.severity" is "bad"'),
        ("notify = 3\n", '"notify" must hold tables'),
        ("[endpoints.api]\nkind = 'health'\n", 'a text "url"'),
        ("[endpoints.api]\nurl = 'http://x/'\nkind = 'prom'\n", '"endpoints.api.kind" is "prom"'),
        ("[endpoints.api]\nurl = 'http://x/'\nlatency = 3\n", '"endpoints.api.latency" is unknown'),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)

    with pytest.raises(ConfigError) as found:
        config.load({"MLCONSOLE_CONFIG": str(file)})
    assert words in str(found.value)


def test_doctor_names_a_notifier_that_is_not_installed(home: Path) -> None:
    settings = Settings(home, "ann", "gpu-1", notify={"ops": {"kind": "pigeon"}, "desk": {"kind": "command"}})
    ctx = Context(settings)
    try:
        found = [each for each in doctor._backends(ctx) if each.subject == "notifiers"]
    finally:
        ctx.close()

    assert [(each.level, "pigeon" in each.message) for each in found] == [("failure", True)]
