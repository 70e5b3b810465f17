"""Copies of code where jobs run: made of what was sent and of earlier ones, whole or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mlconsole.plugin_api import Carriage, CodeCopy, JobSpec
from mlconsole_local import copies
from mlconsole_local.shared import Shared


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def sent(root: Path, entries: list[copies.Entry], wanted: list[str]) -> io.BytesIO:
    body = io.BytesIO()
    copies.archive(str(root), entries, wanted, body)
    body.seek(0)
    return body


def test_links_executables_and_empty_folders_arrive_as_they_are(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", pkg__a="a", b="b")
    (root / "b").chmod(0o755)
    (root / "link").symlink_to("pkg/a")
    (root / "empty").mkdir()
    entries = copies.entries_of(str(root))
    there = str(tmp_path / "there")
    wanted = copies.lacks(there, "d1", entries)

    path = Path(copies.lay(there, "d1", entries, sent(root, entries, wanted)))

    assert copies.entries_of(str(path)) == entries
    assert (path / "link").readlink() == Path("pkg/a")
    assert [oct((path / name).stat().st_mode & 0o777) for name in ("b", "pkg/a")] == ["0o555", "0o444"]
    assert copies.lacks(there, "d1", entries) == []


def test_bytes_that_are_not_what_their_digest_says_make_no_copy(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", a="a", b="b")
    entries = copies.entries_of(str(root))
    wanted = copies.lacks(str(tmp_path / "there"), "d1", entries)
    tree(root, a="evil")
    with pytest.raises(copies.Lacking) as failure:
        copies.lay(str(tmp_path / "there"), "d1", entries, sent(root, entries, wanted))
    assert failure.value.args[0] == [next(key for name, _, key, _ in entries if name == "a")]
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", "d", "", 0)],
        [("/out", "d", "", 0)],
        [("link", "l", "..", 0), ("link/out", "d", "", 0)],
    ],
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, entries: list[copies.Entry]) -> None:
    body = io.BytesIO()
    tarfile.open(fileobj=body, mode="w").close()
    body.seek(0)
    with pytest.raises(ValueError, match="would leave the folder"):
        copies.lay(str(tmp_path / "there"), "d1", entries, body)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["there"]


def spec(root: Path, digest: str) -> JobSpec:
    code, argv = CodeCopy(str(root), digest, 0), ("python3", f"{root}/a")
    return JobSpec("r", "r", argv, str(root), str(root.parent / "run"), {}, code=code)


def test_a_folder_that_all_nodes_see_gets_only_what_it_lacks(tmp_path: Path) -> None:
    shared = Shared("slurm", str(tmp_path / "shared"))
    first, second = tree(tmp_path / "one", a="aa", b="bb"), tree(tmp_path / "two", a="aa", b="cccc")
    assert shared.carriage(spec(first, "d1"), ["a", "b"]) == Carriage(str(tmp_path / "shared"), 2, 4)
    _, base = shared.prepare(spec(first, "d1"), "r.1")
    assert shared.carriage(spec(first, "d1"), ["a", "b"]) == Carriage(str(tmp_path / "shared"), 0, 0)
    assert shared.carriage(spec(second, "d2"), ["a", "b"]) == Carriage(str(tmp_path / "shared"), 1, 4)
    there = tmp_path / "shared" / "code" / "d1"
    job = (base / "job.json").read_text()
    assert f'"{there}/a"' in job and f'"cwd": "{there}"' in job


def test_nodes_that_see_the_catalog_get_nothing(tmp_path: Path) -> None:
    assert Shared("ray", "").carriage(spec(tree(tmp_path / "one", a="a"), "d1"), ["a"]) is None
