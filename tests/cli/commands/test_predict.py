from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command


def test_texts_in_their_order(tunesmith: Command, trained: Path) -> None:
    texts = ["the printer is broken again", "send me a new phone", "x"]
    output = tunesmith("predict", trained, *texts, "--json")
    assert output.code == 0
    assert [record["row"] for record in output.records] == [0, 1, 2]
    for record in output.records:
        assert record["label"] in ("order", "repair")
        assert record["score"] == max(record["scores"].values())
        assert sum(record["scores"].values()) == pytest.approx(1)
    lines = tunesmith("predict", trained / "model", *texts).out.splitlines()
    assert lines[0] == "prediction\tprobability\tbody"
    assert [line.split("\t")[2] for line in lines[1:]] == texts


def test_a_file_and_stdin_give_the_same(tunesmith: Command, trained: Path) -> None:
    texts = ["the printer is broken", "a new phone"]
    Path("new.csv").write_text("body\n" + "\n".join(texts) + "\n")
    by_file = tunesmith("predict", trained, "--file", "new.csv", "--json").records
    by_stdin = tunesmith("predict", trained, "--json", stdin="\n".join(texts) + "\n").records
    by_words = tunesmith("predict", trained, "--json", "--batch-size", "1", *texts).records
    for one, two, three in zip(by_file, by_stdin, by_words, strict=True):
        assert one["scores"] == pytest.approx(two["scores"], abs=1e-6)
        assert one["scores"] == pytest.approx(three["scores"], abs=1e-6)


def test_a_text_that_looks_like_an_option(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("predict", trained, "--", "--json")
    assert output.code == 0
    assert output.out.rstrip().endswith("--json")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["text", "--file", "x.csv"], 2, "either texts or --file"),
        (["--file", "none.csv"], 3, "D105"),
        ([""], 3, "D310"),
        (["x", "--device", "cuda"], 4, "M117"),
        (["x", "--nonsense"], 2, "R100"),
    ],
)
def test_unpredictable_rows(
    arguments: list[str], code: int, words: str, tunesmith: Command, trained: Path
) -> None:
    output = tunesmith("predict", trained, *arguments)
    assert output.code == code
    assert words in output.err


def test_no_such_model(tunesmith: Command, tiny_bert: Path) -> None:
    assert tunesmith("predict", "./none", "x").code == 2
    output = tunesmith("predict", tiny_bert, "x")
    assert output.code == 2
    assert "M114" in output.err


def test_other_columns(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("message\nthe printer is broken\n")
    assert "D301" in tunesmith("predict", trained, "--file", "new.csv").err
    assert tunesmith("predict", trained, "--file", "new.csv", "--text", "message").code == 0


def test_a_table_without_a_header(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("1,the printer is broken\n2,a new phone\n")
    output = tunesmith("predict", trained, "--file", "new.csv", "--columns", "id,body", "--json")
    assert [record["row"] for record in output.records] == [0, 1]


ROWS = 'id,body,note\n7,the printer is broken,a\n8,,b\n9,"' + "a new phone\t" * 20 + '",c\n'


def test_a_table_of_predictions(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text(ROWS)
    words = ("predict", trained, "--file", "new.csv", "--out", "out/predictions.csv")
    output = tunesmith(*words)
    assert output.code == 0
    assert output.out == "3 rows in out/predictions.csv\n"
    assert "warning M153 new.csv: 1 row cannot be predicted" in output.err
    assert "D310 new.csv:3" in output.err
    frame = pd.read_csv("out/predictions.csv")
    assert list(frame.columns) == ["id", "body", "note", "prediction", "probability"]
    assert frame["id"].tolist() == [7, 8, 9]
    assert frame["prediction"].isna().tolist() == [False, True, False]
    assert len(frame["body"][2]) == 240
    answers = tunesmith("predict", trained, "--file", "new.csv", "--json").records
    assert frame["prediction"].tolist()[0] == answers[0]["label"]
    assert frame["probability"][2] == pytest.approx(answers[2]["score"], abs=1e-6)
    # never over what is there
    Path("out/predictions.csv").write_text("mine")
    output = tunesmith(*words)
    assert output.code == 2
    assert "R115 out/predictions.csv" in output.err
    assert Path("out/predictions.csv").read_text() == "mine"
    (record,) = tunesmith(*words, "--force", "--scores", "--json").records
    assert record["rows"] == 3
    assert record["columns"][-2:] == ["probability:order", "probability:repair"]
    assert pd.read_csv("out/predictions.csv")["probability:order"][0] == pytest.approx(
        answers[0]["scores"]["order"], abs=1e-6
    )


def test_bad_row_policies(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text(ROWS)
    words = ("predict", trained, "--file", "new.csv")
    rows = tunesmith(*words, "--json").records
    assert [record["row"] for record in rows] == [0, 1, 2]
    assert rows[1] == {
        "row": 1, "input": {"id": "8", "body": "", "note": "b"},
        "label": None, "score": None, "scores": None, "problem": "D310",
    }  # fmt: skip
    skipped = tunesmith(*words, "--json", "--on-bad-row", "skip").records
    assert [record["row"] for record in skipped] == [0, 2]
    assert [r["scores"] for r in skipped] == [
        pytest.approx(rows[i]["scores"], abs=1e-6) for i in (0, 2)
    ]
    for out in ((), ("--out", "p.csv")):
        output = tunesmith(*words, "--on-bad-row", "fail", *out)
        assert output.code == 3
        assert "error D310 new.csv:3" in output.err
        assert output.out == ""
        assert not Path("p.csv").exists()
    assert tunesmith("predict", trained, "", "a new phone", "--on-bad-row", "keep").code == 0


def test_a_pipe_gets_whole_texts_under_a_header(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text(ROWS)
    output = tunesmith("predict", trained, "--file", "new.csv", "-q")
    header, first, empty, long = output.out.splitlines()
    assert header.split("\t") == ["prediction", "probability", "body"]
    assert first.split("\t")[2] == "the printer is broken"
    assert empty == "\t\t"
    assert long.split("\t")[2] == "a new phone\\t" * 20
    assert output.err == ""


def test_lines_are_short_in_a_terminal(
    tunesmith: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("new.csv").write_text(ROWS)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    first, empty, long = tunesmith("predict", trained, "--file", "new.csv").out.splitlines()
    assert first.split("\t")[2] == "the printer is broken"
    assert empty == "\t\t"
    assert len(long.split("\t")[2]) == 60


def test_output_format_is_checked_before_loading_a_model(
    tunesmith: Command, trained: Path, tmp_path: Path
) -> None:
    for words, code in (
        (("--file", "none.csv"), "D105"),
        (("--file", "none.csv", "--out", "p.xls"), "R153"),
    ):
        output = tunesmith("predict", trained, *words)
        assert output.code in (2, 3)
        assert code in output.err
    assert "R104" not in tunesmith("predict", trained, "x", "--on-bad-row", "skip").err
    output = tunesmith("predict", trained, "x", "--on-bad-row", "quarantine")
    assert output.code == 2


def test_each_line_of_stdin_is_one_answer(tunesmith: Command, trained: Path) -> None:
    lines = ["one\u2028text", "with\x85signs", "and\ta tab", "form\x0cfeed\x1c"]
    records = tunesmith("predict", trained, "--json", stdin="\r\n".join(lines) + "\r\n").records
    assert [record["row"] for record in records] == [0, 1, 2, 3]


def test_stdin_and_arguments_that_are_not_utf_8(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("predict", trained, stdin="fine\nMüll in Köln\n".encode("cp1252"))
    assert output.code == 3
    assert "D127 stdin:2" in output.err
    assert f"tunesmith predict {trained} --encoding cp1252" in output.err
    german = "fine\nMüll in Köln\n".encode("cp1252")
    assert tunesmith("predict", trained, "--encoding", "cp1252", stdin=german).code == 0
    output = tunesmith("predict", trained, "caf\udce9")
    assert (output.code, "D127" in output.err) == (3, True)


def test_empty_stdin(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("predict", trained, stdin="\n\n")
    assert (output.code, output.out) == (3, "")
    assert "D120 stdin" in output.err
