"""Loaded once by the server that test processes are forked from; computes nothing."""

from __future__ import annotations

import sklearn.metrics  # noqa: F401
import transformers.models.bert.modeling_bert  # noqa: F401
