"""Finished models: load one, predict and score, with its calibration if it has one."""

from __future__ import annotations
