"""Artifacts stay inside their run's folder whatever they are called, and are what they were."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import RUN_ID, Trainer

from mlconsole.recorder import artifacts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "run" / "artifacts"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 1000)
    return path


HOSTILE_NAMES = ["../../x", "/etc/passwd", "a/../../b", "..\\..\\x", "./.././x", "a//b", "..../x", "x/..", "a\x00b"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_leads_out_of_the_runs_folder(root: Path, source: Path, name: str) -> None:
    stored = artifacts.store(str(source), str(root), name)
    path = root / stored.path
    assert path.read_bytes() == source.read_bytes()
    assert root in path.resolve().parents
    assert set(root.parent.iterdir()) == {root}


@given(st.text())
def test_every_name_is_refused_or_made_safe(name: str) -> None:
    try:
        parts = artifacts.safe_name(name).split("/")
    except ValueError:
        return
    assert all(part not in ("", ".", "..") and part.isprintable() and "\\" not in part for part in parts)
    assert all(len(part.encode()) <= 255 for part in parts)


@pytest.mark.parametrize("name", ["", "..", "/", "../..", " / . "])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        artifacts.safe_name(name)


def test_names_that_were_changed_stay_apart() -> None:
    names = ["a\x01b", "a\x02b", "x" * 300, "x" * 301]
    assert len({artifacts.safe_name(name) for name in names}) == 4


def test_a_link_planted_in_the_runs_folder_is_not_followed(root: Path, source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir(parents=True)
    (root / "sub").symlink_to(outside)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        artifacts.store(str(source), str(root), "sub/x")
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_the_file_is_replaced_and_not_written_through(
    root: Path, source: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    root.mkdir(parents=True)
    (root / "x").symlink_to(victim)
    artifacts.store(str(source), str(root), "x")
    assert victim.read_text() == "precious"
    assert (root / "x").read_bytes() == source.read_bytes()


def test_the_digest_and_size_are_of_the_bytes(root: Path, source: Path) -> None:
    stored = artifacts.store(str(source), str(root), "m")
    expected = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (stored.size, stored.digest) == (7000, f"sha256:{expected}")
    assert artifacts.describe(str(source)) == artifacts.Stored(str(source), 7000, f"sha256:{expected}")


def test_a_folder_is_kept_without_its_links(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("a")
    (folder / "b").write_text("bb")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    stored = artifacts.store(str(folder), str(root), "checkpoint")
    kept = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert kept == ["checkpoint/b", "checkpoint/deep/a"]
    assert stored.size == 3
    assert stored.digest == artifacts.describe(str(folder)).digest


def test_a_folder_that_holds_the_run_itself_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    root = tmp_path / "artifacts"
    root.mkdir()
    artifacts.store(str(tmp_path), str(root), "all")
    assert sorted(path.name for path in (root / "all").rglob("*") if path.is_file()) == ["a"]


def test_an_empty_folder_is_kept(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert artifacts.store(str(tmp_path / "empty"), str(root), "e").size == 0
    assert (root / "e").is_dir()


def test_the_digest_of_a_folder_tells_content_and_names(tmp_path: Path) -> None:
    digests = set()
    for name, text in [("a", "x"), ("a", "y"), ("b", "x")]:
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(artifacts.describe(str(folder)).digest)
    assert len(digests) == 3


def test_a_pipe_is_refused_without_waiting(root: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        artifacts.store(str(tmp_path / "pipe"), str(root), "x")


def test_a_failed_copy_leaves_nothing_half_written(root: Path) -> None:
    with pytest.raises(OSError):
        artifacts.store("/proc/self/mem", str(root), "x")
    assert list(root.iterdir()) == []


def test_a_large_file_has_a_digest_of_its_ends(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(65 << 20)
    first = artifacts.describe(str(large)).digest
    with large.open("r+b") as file:
        file.write(b"x")
    assert first.startswith("sha256-ends:")
    assert artifacts.describe(str(large)).digest != first


def test_a_folder_of_very_many_files_is_named_without_reading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_MOST_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_text(name)
    assert artifacts.describe(str(tmp_path)) == artifacts.Stored(str(tmp_path), None, "")


def test_a_large_folder_has_a_digest_of_its_list(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(65 << 20)
    first = artifacts.describe(str(tmp_path))
    (tmp_path / "more").write_text("x")
    assert first.digest.startswith("sha256-list:")
    assert artifacts.describe(str(tmp_path)).digest != first.digest


def test_artifacts_models_and_datasets_are_recorded(trainer: Trainer) -> None:
    trainer.environ["MLCONSOLE_RUN_ID"] = RUN_ID
    (trainer.work / "weights.pt").write_bytes(b"\x80\x04not a pickle to load")
    (trainer.work / "data.csv").write_text("a,b\n1,2\n")
    trainer.run("""
        import mlconsole, pathlib
        mlconsole.log_model("weights.pt", metadata={"epoch": 3})
        mlconsole.log_artifact(pathlib.Path("data.csv"), "tables/first.csv")
        mlconsole.log_artifact("data.csv", copy=False)
        mlconsole.log_dataset("data.csv", "train")
        mlconsole.log_dataset("imagenet", digest="v2", metadata={"split": "val"})
        """)
    log = trainer.log()
    kept = trainer.home / "runs" / RUN_ID / "artifacts"
    size = len("a,b\n1,2\n")
    assert (kept / "weights.pt").read_bytes() == b"\x80\x04not a pickle to load"
    assert (kept / "tables" / "first.csv").read_text() == "a,b\n1,2\n"
    (model,), (copied, named), (data, other) = log.of("model"), log.of("artifact"), log.of("dataset")
    assert (model["name"], model["path"], model["metadata"]) == ("weights.pt", "weights.pt", {"epoch": 3})
    assert (copied["path"], copied["size"]) == ("tables/first.csv", size)
    assert (named["path"], named["size"]) == (str(trainer.work / "data.csv"), size)
    assert (data["name"], data["size"], data["digest"]) == ("train", size, copied["digest"])
    assert (other["name"], other["path"], other["digest"], other["size"]) == ("imagenet", "", "v2", None)
