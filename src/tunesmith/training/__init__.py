"""Training: the plan, the loop, the engines and checkpoints.

`loop` runs steps and yields `events`. A `plan` gives due evaluations and seeds as functions of the
step, `learning_rate` the schedules, `shuffling` the order of rows. `choose_engine` decides which
`engine` computes a step: the exact one, or `fast`. `progress` keeps the best evaluation,
`early_stopping` ends a run; `checkpoint` saves and restores all of it; `predict` evaluates,
in `streams` where several batches may go at once; `failures` has the messages. Several processes
are each other's `peers`, and `peer_guard` ends one that waits in vain.
"""

from __future__ import annotations
