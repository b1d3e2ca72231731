"""Calibration: probabilities that mean what they say, thresholds that keep a promise. No torch."""

from __future__ import annotations

from tunesmith.calibration.decisions import Calibration
from tunesmith.calibration.fit import Fit, Measures, Tally, calibrate, measure
from tunesmith.calibration.temperature import (
    Bin,
    calibration_error,
    fit_temperature,
    log_loss,
    probabilities,
    reliability,
)
from tunesmith.calibration.thresholds import Goal

__all__ = [
    "Bin",
    "Calibration",
    "Fit",
    "Goal",
    "Measures",
    "Tally",
    "calibrate",
    "calibration_error",
    "fit_temperature",
    "log_loss",
    "measure",
    "probabilities",
    "reliability",
]
