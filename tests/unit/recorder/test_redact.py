"""No secret reaches a run's files, and what only sounds like one stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import Trainer

from mlconsole.recorder.redact import (
    REDACTED,
    argv_secrets,
    redact_argv,
    redact_mapping,
    redact_text,
    secret_values,
)
from mlconsole.recorder.secret_names import is_secret_name

# Put together here, so that no scanner takes this file for a leak.
TOKEN = "h" + "f_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123"
SHAPES = [
    TOKEN,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "gh" + "p_" + "a1" * 18,
    "github_" + "pat_" + "a1" * 20,
    "gl" + "pat-" + "x" * 20,
    "s" + "k-" + "proj-" + "Ab1_" * 8,
    "xox" + "b-1234567890-abcdefghij",
    "AIza" + "x" * 35,
    "ey" + "J" + "hbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0" + "." + "SflKxwRJSMeKKF2QT4",
]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "dbPassword",
        "api_key",
        "apiKey",
        "OPENAI_API_KEY",
        "--api-key",
        "aws_secret_access_key",
        "token",
        "HF_TOKEN",
        "github-token",
        "access_tokens",
        "client.secret",
        "credentials",
        "PGPASSWORD_PASSWD",
        "private_key",
        "db_pwd",
        "SECRET_KEY_BASE",
    ],
)
def test_a_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "num_tokens",
        "tokens",
        "tokenizer",
        "tokenizer_name",
        "token_type",
        "token_ids",
        "pad_token",
        "eos_token",
        "secretary",
        "password_free",
        "passwordless",
        "PASSWORD_FILE",
        "key",
        "primary_key",
        "keyboard",
        "PWD",
        "OLDPWD",
        "SSH_AUTH_SOCK",
        "author",
        "compass",
        "lr",
        "",
    ],
)
def test_a_name_that_only_sounds_like_a_secret_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("secret", SHAPES)
def test_a_secret_of_a_known_shape_is_taken_out_of_any_text(secret: str) -> None:
    text = f"before {secret} after, and '{secret}'"
    assert redact_text(text) == f"before {REDACTED} after, and '{REDACTED}'"


def test_a_private_key_is_taken_out_whole() -> None:
    key = "-----BEGIN RSA PRIVATE" + " KEY-----\n+MIIEow/=\n+abc\n-----END RSA PRIVATE" + " KEY-----"
    assert redact_text(f"a\n{key}\nb") == f"a\n{REDACTED}\nb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://bob:p@ss@host/path", "https://[redacted]@host/path"),
        ("postgres://u:pw@db:5432/x", "postgres://[redacted]@db:5432/x"),
        ("https://host/a@b", "https://host/a@b"),
        ("password=hunter2 lr=0.1", "password=[redacted] lr=0.1"),
        ('{"api_key": "abc", "lr": 0.1}', '{"api_key": "[redacted]", "lr": 0.1}'),
        ("DB_PASSWORD: 'x y z'", "DB_PASSWORD: '[redacted]'"),
        ("GET /?access_token=abcdefgh123&page=2", "GET /?access_token=[redacted]&page=2"),
        ("Bearer abcdefghijkl", "Bearer [redacted]"),
        ("max_tokens=100 tokenizer=bert", "max_tokens=100 tokenizer=bert"),
        ("password = args.password", "password = args.password"),
        ("token = tokenizer.next()", "token = tokenizer.next()"),
        ("if token == other: pass", "if token == other: pass"),
        ("password=None", "password=None"),
        ("basic training of passengers", "basic training of passengers"),
    ],
)
def test_text_loses_its_secrets_and_nothing_else(text: str, expected: str) -> None:
    assert redact_text(text) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--api-key", "x", "--lr", "0.1"], ["--api-key", REDACTED, "--lr", "0.1"]),
        (["--password=x"], [f"--password={REDACTED}"]),
        (["token=x"], [f"token={REDACTED}"]),
        (["+model.api_key=x"], [f"+model.api_key={REDACTED}"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["--token", "-abc"], ["--token", REDACTED]),
        (["--max-tokens", "5", "--tokenizer=x"], ["--max-tokens", "5", "--tokenizer=x"]),
        (["sh", "-c", "PASSWORD=x run"], ["sh", "-c", f"PASSWORD={REDACTED} run"]),
    ],
)
def test_a_command_line_loses_its_secrets(argv: list[str], expected: list[str]) -> None:
    assert redact_argv(argv) == expected


def test_a_mapping_loses_its_secrets_at_any_depth() -> None:
    values = {
        "api_key": "abc",
        "tokens": 5,
        "nested": {"password": 1234, "url": "https://a:b@c", "use_auth_token": True, "secret": None},
        "argv": ["--token", "abc", "--lr", 1],
        "rows": [{"client_secret": "abc"}],
    }
    assert redact_mapping(values) == {
        "api_key": REDACTED,
        "tokens": 5,
        "nested": {"password": REDACTED, "url": "https://[redacted]@c", "use_auth_token": True, "secret": None},
        "argv": ["--token", REDACTED, "--lr", 1],
        "rows": [{"client_secret": REDACTED}],
    }


def test_values_of_secret_variables_are_taken_out_wherever_they_occur() -> None:
    secrets = secret_values({"DB_PASSWORD": 'cor"rect horse', "HF_TOKEN": "short", "HOME": "/home/someone"})
    text = 'a cor"rect horse, json cor\\"rect horse, url cor%22rect%20horse, short, /home/someone'
    assert redact_text(text, secrets) == f"a {REDACTED}, json {REDACTED}, url {REDACTED}, short, /home/someone"


def test_secrets_of_the_command_line_are_known() -> None:
    assert "a-long-secret" in argv_secrets(["train.py", "--api-key", "a-long-secret", "--name", "a-long-name"])
    assert "a-long-name" not in argv_secrets(["train.py", "--api-key", "a-long-secret", "--name", "a-long-name"])


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200), st.integers(0, 200))
def test_a_known_secret_never_survives(text: str, place: int) -> None:
    secret = "wH7-quiet/Harbour_19"
    secrets = secret_values({"APP_SECRET": secret})
    assert secret not in redact_text(text[:place] + secret + text[place:], secrets)


def test_a_long_text_is_worked_through_whole() -> None:
    lines = [f"line {i} password=hunter{i} {'x' * 50}\n" for i in range(5_000)]
    result = redact_text("".join(lines))
    assert result.count(REDACTED) == 5_000
    assert result.count("\n") == 5_000


SCRIPT = """
    import mlconsole, os
    secret = os.environ["MY_SECRET"]
    with mlconsole.start_run(secret, f"name {secret}", params={"a": secret, "api_key": "a1b2c3d4e5"}) as run:
        run.set_tags({secret: secret, "url": f"https://{secret}@host"})
        run.log_dataset(secret, metadata={"note": secret})
        run.log_artifact(secret)
        run.log({"loss": secret})
        run.end(secret)
        run.note("info", secret)
    with mlconsole.start_run():
        raise ValueError(f"login with {secret} failed, password=hunter2hunter2")
    """


def test_secrets_are_in_no_byte_that_a_run_leaves(trainer: Trainer) -> None:
    work = trainer.work
    secrets = ["kestrel-amber-77-lantern", "zq8-argument-value", TOKEN, "diff-only-password", "userinfo-pass"]
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(work)]
    (work / "config.ini").write_text("[db]\n")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://me:userinfo-pass@host/x.git"], check=True)
    (work / "config.ini").write_text(f"[db]\npassword = diff-only-password\nurl = {TOKEN}\n{secrets[0]}\n")
    trainer.environ.update(MY_SECRET=secrets[0], MLCONSOLE_CAPTURE_ENV="MY_*,SHOWN_*", SHOWN_URL=f"https://{TOKEN}")

    trainer.run(SCRIPT, "--api-key", "zq8-argument-value", status=1)

    logs = trainer.logs()
    patch = trainer.home / "runs" / logs[0].run_id / "code" / "diff.patch"
    assert "[redacted]" in patch.read_text()
    assert logs[0].last("code")["remote"] == "https://[redacted]@host/x.git"
    assert "[redacted] failed, password=[redacted]" in str(logs[1].last("end")["traceback"])
    for path in files_below(trainer.home):
        content = path.read_bytes() + str(path).encode()
        assert [secret for secret in [*secrets, "a1b2c3d4e5", "hunter2hunter2"] if secret.encode() in content] == []


def files_below(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert len(found) >= 5
    return found
