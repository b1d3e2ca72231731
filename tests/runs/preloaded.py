"""Loaded once by the server that test processes are forked from; computes nothing.

It is all that a run loads, which takes a child more than a second. What is loaded when is tested in
processes of their own.
"""

from __future__ import annotations

import pyarrow.parquet  # noqa: F401
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.metrics  # noqa: F401
import transformers.convert_slow_tokenizer
import transformers.models.auto.tokenization_auto
import transformers.models.bert.modeling_bert
import transformers.models.bert.tokenization_bert  # noqa: F401

import tunesmith.analysis.report
import tunesmith.api.train
import tunesmith.runs.make_engine
import tunesmith.runs.train  # noqa: F401
from tunesmith.tasks import TASKS, task_named
from tunesmith.training.fast import kernels

for name in TASKS:
    task_named(name)
kernels.why_missing()  # it loads them, where they are compiled
