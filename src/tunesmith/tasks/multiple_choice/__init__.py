"""Multiple choice: one of several texts for each question.

`rows` reads questions with their choices, `task` scores each choice, `choice_kind` is what an
answer is, `baselines` answers without the question, `scripts` writes the task as plain code.
"""

from __future__ import annotations
