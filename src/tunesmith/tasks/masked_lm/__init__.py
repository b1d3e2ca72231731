"""Masked language modeling: pretraining continued on plain texts.

`chunking` cuts texts into windows, `masking` hides tokens, `task` predicts them, `scripts` writes
the task as plain code.
"""

from __future__ import annotations
