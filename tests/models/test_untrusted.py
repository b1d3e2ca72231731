from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capabilities import needs
from tunesmith.errors import ModelError, Problem, RecipeError
from tunesmith.models.untrusted import (
    MAX_DEPTH,
    UnreadableFile,
    coded,
    first_line,
    open_regular,
    read_json,
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**38), 10**38)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def nested(depth: int, *, by_lists: bool) -> dict[str, Any]:
    value: Any = 1
    for _level in range(depth):
        value = [value] if by_lists else {"x": value}
    return {"a": value}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "x.json"


@settings(max_examples=40)
@given(st.dictionaries(st.text(), plain))
def test_what_json_wrote_is_read(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_json(path, max_bytes=1_000_000) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        value = read_json(path, max_bytes=50)
    except UnreadableFile as error:
        assert str(error)
    else:
        assert value == json.loads(content)
        assert len(content) <= 50


@pytest.mark.parametrize("by_lists", [True, False])
def test_nesting_has_a_limit(path: Path, by_lists: bool) -> None:
    path.write_text(json.dumps(nested(MAX_DEPTH - 1, by_lists=by_lists)))
    assert read_json(path, max_bytes=10_000) == nested(MAX_DEPTH - 1, by_lists=by_lists)
    path.write_text(json.dumps(nested(MAX_DEPTH, by_lists=by_lists)))
    with pytest.raises(UnreadableFile, match="nested too deeply"):
        read_json(path, max_bytes=10_000)
    path.write_text('{"a":' + "[" * 100_000)
    with pytest.raises(UnreadableFile, match="nested too deeply"):
        read_json(path, max_bytes=1_000_000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": {"b": [1, 1e400]}}', r"^a\.b is inf$"),
        ('{"eps": NaN}', "^eps is nan$"),
        ('{"a": 1' + "0" * 37 + "1}", "^a is too large a number$"),
        ('{"a": [-1' + "0" * 39 + "]}", "^a is too large a number$"),
        ("[1]", "^it is not a JSON object$"),
        ("", "Expecting value"),
        ('{"a": 1' + "0" * 5000 + "}", "digits"),
    ],
)
def test_what_is_refused(path: Path, content: str, reason: str) -> None:
    path.write_text(content)
    with pytest.raises(UnreadableFile, match=reason):
        read_json(path, max_bytes=10_000)


def test_the_limit_of_size_is_exact(path: Path) -> None:
    path.write_text('{"a": 1}')
    assert read_json(path, max_bytes=8) == {"a": 1}
    with pytest.raises(UnreadableFile, match="larger than 0 MB"):
        read_json(path, max_bytes=7)
    path.write_text('{"a": "' + "x" * 3_000_000 + '"}')
    with pytest.raises(UnreadableFile, match="larger than 2 MB"):
        read_json(path, max_bytes=2_000_000)


@needs("/dev", "links", "pipes")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to pipe").symlink_to("pipe")
    (tmp_path / "to device").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "to pipe", "to device"):
        with pytest.raises(UnreadableFile, match="not a regular file"):
            open_regular(tmp_path / name)
    (tmp_path / "file").write_text("x")
    (tmp_path / "to file").symlink_to("file")
    for name in ("file", "to file"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"x"
    (tmp_path / "lost").symlink_to("nothing")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "lost")
    with pytest.raises(UnreadableFile, match="symbolic links"):
        open_regular(tmp_path / "round")


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\n  what is wrong \nand more")) == "what is wrong"
    assert first_line(ValueError("Field 'x':\n  expected int\nmore")) == "Field 'x': expected int"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(ValueError("x" * 300)) == "x" * 199 + "…"


class PanicException(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize(
    "error", [PanicException("boom"), RecursionError("boom"), KeyError("boom")]
)
def test_errors_of_libraries_get_a_code(error: BaseException) -> None:
    with (
        pytest.raises(ModelError, match=r"^error M113: .?boom.?!$") as caught,
        coded(lambda reason: Problem("M113", f"{reason}!")),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        TimeoutError(),
        RecipeError(Problem("R101", "x")),
    ],
)
def test_what_is_not_about_a_file_stays_itself(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, coded(lambda _reason: Problem("M113", "")):
        raise error
    assert caught.value is error
