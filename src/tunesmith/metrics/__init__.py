"""Scores, their intervals, baselines and calibration. No torch.

`scores` has the metrics, `entities` and `squad` those of spans and of answers from a text;
`output_kinds` and `concrete_kinds` what an answer is; `probabilities` has softmax and sigmoid.
`uncertainty` gives intervals by the methods of `intervals`, `likelihood` and `bootstrap`,
`differences` compares two models, `calibration` fits `temperature` and `thresholds`.
"""

from __future__ import annotations
