from __future__ import annotations

from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.cli.conftest import Command
from tunesmith.cli.commands import COMMANDS
from tunesmith.cli.options import layers_from, reading
from tunesmith.data.readers.format import ReadingOptions


def test_flags_become_keys() -> None:
    layers = layers_from(
        ["a.csv"],
        {
            "sets": ("train.epochs=1",),
            "model": "m",
            "label": ("x", "y"),
            "delimiter": "\\t",
            "text": None,
            "other": 1,
            "columns": "body, queue",
            "normalize_labels": True,
        },
    )
    recipe = layers.recipe()
    assert recipe.data.train == "a.csv"
    assert recipe.data.label == ("x", "y")
    assert recipe.data.delimiter == "\t"
    assert layers.origin("data", "label").detail == "--label"
    assert layers_from(["a.csv", "b.csv"], {}).recipe().data.train == ("a.csv", "b.csv")
    assert recipe.data.header == ("body", "queue")
    assert recipe.data.normalize_labels


def test_reading_options() -> None:
    nothing = {"encoding": None, "delimiter": None, "columns": None, "sheet": None}
    assert reading(nothing) == ReadingOptions()
    flags = {
        "encoding": "gb18030", "delimiter": "\\t", "columns": "text ,label", "sheet": "May",
        "config": "mrpc", "revision": "v1",
    }  # fmt: skip
    assert reading(flags) == ReadingOptions(
        "gb18030", "\t", "mrpc", "v1", header=("text", "label"), sheet="May"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, tunesmith: Command) -> None:
    output = tunesmith(command, "--help")
    assert output.code == 0
    assert "Examples:" in output.out or "Commands:" in output.out
    assert "--json" in output.out or "Commands:" in output.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "Missing argument"),
        (["train", "x.csv", "--modle", "y"], "--model"),
        (["train", "x.csv", "--set", "nonsense"], "KEY=VALUE"),
        (["eval", "only-a-model"], "Missing argument"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, tunesmith: Command) -> None:
    output = tunesmith(*arguments)
    assert output.code == 2
    assert words in output.err
    assert "error R1" in output.err


def test_unexpected_exception_is_reported_as_a_bug(
    tunesmith: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.data import open

    def broken(*_arguments: object) -> None:
        raise KeyError("label")

    monkeypatch.setattr(open, "open_splits", broken)
    output = tunesmith("data", "show", "x.csv")
    assert output.code == 70
    assert "M000" in output.err
    assert "--debug" in output.err


@pytest.mark.parametrize(
    ("flag", "key", "written", "value"),
    [
        ("epochs", "epochs", "3", 3),
        ("epochs", "epochs", "0.5", 0.5),
        ("max_steps", "max_steps", "7", 7),
        ("batch_size", "batch_size", "16", 16),
        ("learning_rate", "learning_rate", "2e-5", 2e-5),
        ("max_length", "max_length", "64", 64),
        ("seed", "seed", "1", 1),
        ("device", "device", "cpu", "cpu"),
    ],
)
def test_train_flags(flag: str, key: str, written: str, value: object) -> None:
    layers = layers_from(["a.csv"], {flag: written})
    assert getattr(layers.recipe().train, key) == value
    assert layers.origin("train", key).detail == "--" + flag.replace("_", "-")


@pytest.mark.parametrize("command", ["train", "check", "init"])
def test_train_flag_with_a_wrong_value(command: str, tunesmith: Command) -> None:
    output = tunesmith(command, "x.csv", "--epochs", "many")
    assert output.code == 2
    assert 'R104 --epochs: train.epochs cannot be "many"' in output.out + output.err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tunesmith tr", "train"),
        ("tunesmith runs d", "delete"),
        ("tunesmith train --learning", "--learning-rate"),
        ("tunesmith predict m --on-bad-row k", "keep"),
    ],
)
def test_shell_completion(
    words: str, completed: str, tunesmith: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TUNESMITH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert tunesmith().out.split() == [f"plain,{completed}"]


def test_languages(tunesmith: Command, tmp_path: Path) -> None:
    chinese = ("错误 D105", ["--lang", "zh"]), ("错误 D105", ["--lang=zh"])
    english = ("error D105", ["--lang", "en"]), ("error D105", ["--lang", "zh", "--lang", "en"])
    for start, lang in (*chinese, *english):
        for words in ([*lang, "data", "show"], ["data", *lang, "show"], ["data", "show", *lang]):
            assert tunesmith(*words, "no.csv").err.startswith(start)
    assert tunesmith("data", "show", "no.csv", "--", "--lang", "zh").err.startswith("error D105")
    for words in (["--lang", "fr", "runs", "list"], ["runs", "list", "--lang=fr"]):
        output = tunesmith(*words)
        assert output.code == 2
        assert "'fr' is not one of 'en', 'zh'" in output.err


def test_common_options_before_the_command(tunesmith: Command) -> None:
    (record,) = tunesmith("--json", "runs", "show", "none").records
    assert record["code"] == "C113"
    assert tunesmith("-q", "runs", "list").err == ""
    assert "Traceback" in tunesmith("--debug", "--json", "runs", "show", "none").err
    for name in ("./--debug", "--debug"):  # the second is no name that the Hub could have
        output = tunesmith("--json", "data", "show", "--", name)
        assert (output.code, output.records[0]["code"], len(output.records)) == (3, "D105", 1)
        assert "Traceback" not in output.err


@needs("links")
def test_home_folder_is_expanded_in_every_path(
    tunesmith: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert tunesmith("predict", trained, "a", "--out=~/answers.csv").code == 0
    assert (home / "answers.csv").is_file()
    data = str(trained.parent.parent / "tickets.csv")
    assert tunesmith("init", data, "--out=~/first.yaml").code == 0
    assert (home / "first.yaml").is_file()
    assert tunesmith("check", "~/first.yaml").code == 0
    (home / "runs").symlink_to(trained.parent)
    assert "tickets" in tunesmith("runs", "list", "--root=~/runs").out
    assert tunesmith("runs", "show", "tickets", "--root=~/runs").code == 0
    for arguments in (["init", data, "--out"], ["runs", "list", "--root"]):
        output = tunesmith(*arguments, "~nosuchuser/x")
        assert (output.code, "error C136" in output.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
