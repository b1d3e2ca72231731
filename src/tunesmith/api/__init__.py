"""Tunesmith from Python: the same words as the command line.

import tunesmith as ts

run = ts.train("tickets.csv", model="bert-base-chinese")
print(run.scores["f1"])
print(ts.load(run.model).predict("打印机又坏了")[0])
"""

from __future__ import annotations
