"""What the curves of a run show: a diagnosis, how certain it is, and one change to try.

From `series` (what was logged) `outcomes.assess` makes assessments: numbers in, no torch, no files.
`explain` does it for a run folder.
"""

from __future__ import annotations
