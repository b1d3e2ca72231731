"""What differs between systems, as far as this one can show it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tunesmith.runs.folder import run_name
from tunesmith.storage import operating_system as system
from tunesmith.storage.operating_system import file_name, is_inside, is_unusable_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tickets", "tickets"), ("my tickets (2)", "my-tickets-2"), ("a:b|c?*", "a-b-c"),
        ("end. ", "end"), ("..", ""), ("工单 2026", "工单-2026"), ("con", "_con"), ("NUL", "_NUL"),
        ("aux.v2", "_aux.v2"), ("com1", "_com1"), ("COM¹", "_COM¹"), ("com10", "com10"),
        ("console", "console"), ("cafe\u0301", "caf\u00e9"), ("プ", "プ"),
        ("tab\there", "tab-here"),
    ],
)  # fmt: skip
def test_a_name_is_one_that_every_system_takes(text: str, name: str) -> None:
    assert file_name(text) == name
    assert not is_unusable_name(name)


@pytest.mark.parametrize("name", ["CON", "nul.txt", "lpt9", "a<b", "a:b", "a.", "a ", "a\nb", "x?"])
def test_names_that_windows_refuses(name: str) -> None:
    assert is_unusable_name(name)


def test_a_file_named_after_a_device_has_a_run_all_the_same() -> None:
    for where, name in (
        ("aux.csv", "_aux"), ("data/con.csv", "_con"), ("re\u0301sume\u0301.csv", "résumé"),
    ):  # fmt: skip
        assert run_name(where) == name


def opened_for(seconds: float, path: Path) -> None:
    """Let another program have a file open for some time, as Windows would see it."""
    path.with_name("open").touch()
    threading.Timer(seconds, path.with_name("open").unlink).start()


@pytest.fixture
def as_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`os.rename`, `os.replace` and `rmtree` fail as long as a file named `open` is there."""
    monkeypatch.setattr(system, "MOVES_OPEN_FILES", False)
    marker = tmp_path / "open"
    for module, name in ((os, "rename"), (os, "replace"), (shutil, "rmtree")):
        real = getattr(module, name)

        def call(*arguments: object, real: object = real, **more: object) -> None:
            if not marker.exists():
                real(*arguments, **more)  # type: ignore[operator]
            elif not more.get("ignore_errors"):
                raise PermissionError(13, "Permission denied", str(arguments[0]))

        monkeypatch.setattr(module, name, call)


@pytest.mark.usefixtures("as_on_windows")
def test_a_file_that_is_open_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    for number, move in enumerate((system.rename, system.replace)):
        source, target = tmp_path / f"source{number}", tmp_path / f"target{number}"
        source.write_text("x", encoding="utf-8")
        opened_for(0.1, source)
        move(source, target)
        assert target.read_text(encoding="utf-8") == "x" and not source.exists()
    (tmp_path / "folder").mkdir()
    opened_for(0.1, tmp_path / "folder")
    system.delete_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.usefixtures("as_on_windows")
def test_one_that_stays_open_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_PATIENCE_SECONDS", 0.1)
    (tmp_path / "folder").mkdir()
    (tmp_path / "open").touch()
    started = time.monotonic()
    with pytest.raises(PermissionError):
        system.rename(tmp_path / "folder", tmp_path / "other")
    system.delete_folder(tmp_path / "folder")  # what cannot be deleted stays
    assert (tmp_path / "folder").is_dir()
    assert time.monotonic() - started < 1


def test_elsewhere_a_refusal_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_PATIENCE_SECONDS", 60.0)

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError):
        system.rename(tmp_path / "a", tmp_path / "b")


def test_a_disk_without_a_full_sync_is_synced_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This system does not know the operation of macOS, as network disks there do not."""
    if system._fcntl is None:
        pytest.skip("no fcntl here")
    monkeypatch.setattr(system._fcntl, "F_FULLFSYNC", 51, raising=False)
    with (tmp_path / "file").open("wb") as file:
        system.sync(file.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        system.sync(10**6)


def test_inside_is_a_matter_of_folders_not_of_letters(tmp_path: Path) -> None:
    (tmp_path / "run" / "model").mkdir(parents=True)
    assert is_inside(tmp_path / "run" / "model", tmp_path / "run")
    assert is_inside(tmp_path / "run", tmp_path / "run")
    assert not is_inside(tmp_path, tmp_path / "run")
    assert not is_inside(tmp_path / "run", tmp_path / "gone")
    try:
        (tmp_path / "RUN").symlink_to("run")  # as a disk that ignores case has two names for one
    except OSError:
        pytest.skip("no links here")
    assert is_inside(tmp_path / "RUN" / "model", tmp_path / "run")


def test_patterns_are_expanded_where_no_shell_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).touch()
    words = ["train", "*.csv", "--set", "a=*", "five * stars", "*.gz", "what?"]
    assert system.expanded(words) == words
    monkeypatch.setattr(system, "MOVES_OPEN_FILES", False)
    assert system.expanded(words) == ["train", "a.csv", "b.csv", *words[2:]]
