"""Multiple choice as a script; `tests/interop/eject` runs it, with the other kinds."""

from __future__ import annotations

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.tasks.multiple_choice.task import MultipleChoice


def test_rows_of_several_numbers_of_choices_are_no_script() -> None:
    roles = Roles("question", "choices", "label")
    assert MultipleChoice(roles, most=4, fewest=3).script_parts is None
    assert MultipleChoice(roles, most=4, fewest=4).script_parts is not None


def test_what_is_written_of_a_row() -> None:
    task = MultipleChoice(Roles("question", "choices", "label", "context"), most=2, fewest=2)
    row = Row(0, {"context": "So.", "question": "Q?", "choices": ["up", "down"], "label": 1})
    parts = task.script_parts
    assert parts is not None and parts.record is not None and parts.targets is not None
    assert parts.record(row) == {"text": "So.", "text_pair": ["Q? up", "Q? down"]}
    assert parts.targets.label_of(row) == 1
