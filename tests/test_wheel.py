"""The wheel holds the package and nothing else, and the source archive builds the same bytes."""

from __future__ import annotations

import email
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import chdir
from email.message import Message
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

ROOT = Path(__file__).parents[1]
LARGEST = 9_000_000
"""Bytes of the wheel; most of them are the weights of `embedded:mini`."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    with chdir(ROOT):
        return folder / build_sdist(str(folder))


def built(source: Path, folder: Path) -> Path:
    with chdir(source):
        return folder / build_wheel(str(folder))


def package_files() -> Iterator[str]:
    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".po":
            yield path.relative_to(ROOT / "src").as_posix()


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        return email.message_from_bytes(file.read(name))


def test_the_wheel_holds_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert b"tunesmith = tunesmith.launch:run" in file.read(entry_points)
    about = entry_points.rpartition("/")[0]
    added = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert names == {*package_files(), *(f"{about}/{name}" for name in added)}
    needed = ("py.typed", "locale/zh/LC_MESSAGES/tunesmith.mo", "analysis/report/page.css")
    assert all(f"tunesmith/{name}" in names for name in needed)
    assert wheel.stat().st_size < LARGEST


def test_the_source_archive_builds_the_same_wheel(
    wheel: Path, archive: Path, tmp_path: Path
) -> None:
    with tarfile.open(archive) as file:
        tops = {name.split("/")[1] for name in file.getnames()}
        file.extractall(tmp_path, filter="data")
    assert {"src", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= tops
    assert not {"tests", "docs", "benchmarks", "pretraining", "examples", "deploy"} & tops
    (source,) = tmp_path.iterdir()
    again = built(source, tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_time_does_not_change_the_wheel(
    wheel: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times of files are those of `SOURCE_DATE_EPOCH`, or a constant."""
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    os.utime(source / "src" / "tunesmith" / "errors.py", (1e9, 1e9))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = (built(source, tmp_path / name).read_bytes() for name in folders(tmp_path))
    assert first == second
    assert first != wheel.read_bytes()


def folders(parent: Path) -> tuple[str, str]:
    for name in ("a", "b"):
        (parent / name).mkdir()
    return "a", "b"


def test_the_description_has_no_relative_links(wheel: Path) -> None:
    page = metadata(wheel)
    assert page["Description-Content-Type"] == "text/markdown"
    text = page.get_payload()
    assert isinstance(text, str)
    targets = re.findall(r"\]\(([^)\s]+)|(?:src|srcset|href)=\"([^\"\s]+)", text)
    links = [first or second for first, second in targets]
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)|<img[^>]* src=\"([^\"]+)", text)
    assert all("raw.githubusercontent.com" in (first or second) for first, second in images)
