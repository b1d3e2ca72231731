"""Scores, their intervals, baselines and calibration. No torch."""

from __future__ import annotations
