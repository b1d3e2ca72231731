from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.many.files import ROWS, job, written
from tunesmith.errors import TunesmithError
from tunesmith.many.jobs_file import JobLine, read_job, read_jobs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "recipe.yaml").write_text("data: {train: rows.csv}\ntrain: {epochs: 2}\n")
    return tmp_path


def problems(folder: Path, lines: Sequence[object]) -> list[str]:
    """Code, place and message of all that is wrong."""
    with pytest.raises(TunesmithError) as caught:
        read_jobs(written(folder, lines))
    assert caught.value.exit_code == 2
    return [f"{p.code} {p.place}: {p.message}" for p in caught.value.problems]


def test_a_line_is_what_train_takes(here: Path) -> None:
    lines = [
        {"what": "recipe.yaml", "out": "runs/a", "settings": {"train.seed": 3}},
        {"what": ["rows.csv", "rows.csv"], "out": "runs/b"},
        {"what": "embedded:tickets"},
    ]
    first, second, third = read_jobs(written(here, lines))
    recipe = first.layers().recipe()
    assert (recipe.train.epochs, recipe.train.seed) == (2, 3)
    assert second.layers().recipe().data.train == ("rows.csv", "rows.csv")
    assert [one.out for one in (first, second, third)] == [
        Path("runs/a"), Path("runs/b"), Path("runs/tickets")
    ]  # fmt: skip
    assert [one.line for one in (first, second, third)] == [1, 2, 3]


def test_line_ends_and_marks_of_other_systems_are_read(here: Path) -> None:
    text = "".join(json.dumps(job(f"runs/{name}", "embedded:mini")) + "\r\n" for name in "ab")
    path = here / "jobs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [one.out.name for one in read_jobs(path)] == ["a", "b"]


def test_the_digest_is_of_the_recipe_alone(here: Path) -> None:
    def digest(line: object) -> str:
        return read_jobs(written(here, [line]))[0].digest

    base = {"what": "recipe.yaml", "out": "runs/a", "settings": {"train.seed": 3}}
    assert digest(base) == digest({**base, "out": "elsewhere"})
    assert digest(base) == digest({**base, "settings": {"train": {"seed": 3}}})
    assert digest(base) != digest({**base, "settings": {"train.seed": 4}})
    before = digest(base)
    (here / "recipe.yaml").write_text("data: {train: rows.csv}\ntrain: {epochs: 3}\n")
    assert digest(base) != before


def test_every_bad_line_is_listed(here: Path) -> None:
    lines = [
        job("runs/ok", "embedded:mini"),
        "{",
        {"what": "rows.csv", "otu": "runs/x"},
        {"what": "rows.csv", "settings": {"train.epoch": 1}},
        {"out": "runs/y", "settings": []},
        "",
        {"what": "rosw.csv", "out": "runs/z"},
        [1],
        '{"what": "rows.csv", "what": "rows.csv"}',
        '{"what": "rows.csv", "out": "runs/nan", "settings": {"train.epochs": NaN}}',
        {"what": [], "out": ""},
    ]
    listed = problems(here, lines)
    numbers = [one.split("jobs.jsonl:")[1].split(":")[0].split(" ")[0] for one in listed]
    assert numbers == ["2", "3", "4", "5", "5", "6", "7", "8", "9", "10", "11", "11"]
    assert all(one.startswith("C170") for one in listed if "train.epoch" not in one)


def test_unknown_keys_have_suggestions(here: Path) -> None:
    with pytest.raises(TunesmithError) as caught:
        read_jobs(written(here, [{"what": "rows.csv", "otu": "x", "train.seed": 1}]))
    first, second = caught.value.problems
    assert first.fix and 'did you mean "out"' in first.fix
    assert second.fix and "settings" in second.fix
    with pytest.raises(TunesmithError) as caught:
        read_jobs(written(here, [{"what": "rows.csv", "settings": {"train.epoch": 1}}]))
    (only,) = caught.value.problems
    assert only.code == "R101" and "train.epochs" in str(only).replace('"epochs"', "train.epochs")


@pytest.mark.parametrize(
    "other", ["runs/a", "./runs/a", "runs/../runs/a", "runs/link", "runs/a/b", "runs"]
)
def test_folders_are_not_shared(here: Path, other: str) -> None:
    (here / "runs" / "a").mkdir(parents=True)
    (here / "runs" / "link").symlink_to("a")
    lines = [job("runs/a", "embedded:mini"), job(other, "embedded:mini")]
    (listed,) = problems(here, lines)
    assert listed.startswith("C171")


def test_a_problem_of_a_recipe_has_its_place_there(here: Path) -> None:
    (here / "recipe.yaml").write_text("data: {train: rows.csv}\ntrain: {epoch: 2}\n")
    (listed,) = problems(here, [{"what": "recipe.yaml"}])
    assert listed.startswith("R101 recipe.yaml:2:")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe{", b'{"what": "a"}\n\n\n'])
def test_files_that_hold_no_jobs(here: Path, content: bytes) -> None:
    (here / "jobs.jsonl").write_bytes(content)
    with pytest.raises(TunesmithError, match="C170"):
        read_jobs(here / "jobs.jsonl")
    with pytest.raises(TunesmithError, match="C170"):
        read_jobs(here / "no.jsonl")


def test_one_line_is_read_alone(here: Path) -> None:
    path = written(here, ["{", job("runs/b", "embedded:mini")])
    assert isinstance(read_job(path, 2), JobLine)
    for number in (1, 3):
        with pytest.raises(TunesmithError, match="C170"):
            read_job(path, number)
