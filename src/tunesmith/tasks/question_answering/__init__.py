"""Question answering: the part of a text that answers a question, or that there is none.

`rows` reads questions with their contexts, `windows` makes token ids of them and finds the best
answers in what the windows gave, `answers` chooses among these, `answer_kind` is what an answer is,
`baselines` answers without a model, `scripts` writes the task as plain code, `task` joins them.
"""

from __future__ import annotations
