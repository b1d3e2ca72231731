"""Training: the plan, the loop, the engines and checkpoints.

`loop` runs steps and yields `events`. A `plan` gives learning rates, due evaluations and seeds as
functions of the step, `shuffling` the order of rows. An `engine` computes a step: the exact one, or
`fast`. `progress` keeps the best evaluation and stops early; `checkpoint` saves and restores all of
it; `predict` evaluates; `failures` has the messages.
"""

from __future__ import annotations
