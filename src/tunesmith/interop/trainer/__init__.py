"""The drop-in Trainer: scripts for transformers' Trainer, on the one training loop.

`trainer` and `arguments` are what a script imports; `unsupported` and `customization` decide who
trains it. `train` runs `steps` through the loop, with `losses` from the model, rows from `datasets`
and the `callbacks` of the script; `checkpoints` resumes, `evaluate` and `predictions` score.
"""

from __future__ import annotations
