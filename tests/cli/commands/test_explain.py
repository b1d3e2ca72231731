from __future__ import annotations

from tests.cli.conftest import Command


def test_cause_fix_and_exit_code(tunesmith: Command) -> None:
    output = tunesmith("explain", "d203", "M116")
    assert output.code == 0
    lines = output.out.splitlines()
    assert lines[0] == "D203: Two classes differ in spelling only"
    assert "What to do: Spell them the same, or use `--normalize-labels`." in output.out
    assert "The command ends with exit code 3." in lines
    assert "M116: An update was skipped" in lines
    assert lines[-1] == "A warning or note: the command goes on."


def test_in_chinese_and_as_json(tunesmith: Command) -> None:
    output = tunesmith("explain", "D203", "--lang", "zh")
    assert output.out.startswith("D203: 两个类别只是写法不同")
    assert "命令以退出码 3 结束。" in output.out
    (record,) = tunesmith("explain", "D203", "--json").records
    (explained,) = record["codes"]
    assert explained["code"] == "D203"
    assert explained["exit_code"] == 3


def test_without_a_code_all_are_listed(tunesmith: Command) -> None:
    lines = tunesmith("explain").out.splitlines()
    assert len(lines) > 200
    assert "D203  Two classes differ in spelling only" in lines


def test_an_unknown_code_has_similar_ones(tunesmith: Command) -> None:
    output = tunesmith("explain", "D2033")
    assert output.code == 2
    assert "error R205" in output.err
    assert "D203" in output.err
    assert "R100" in tunesmith("explain", "R").err
    assert "Similar" not in tunesmith("explain", "XYZ").err
