"""Text ranking: how relevant a passage is to a query, as a reranker (cross-encoder) says it.

`columns` finds them, `task` gives each pair one logit, `relevance` is what an answer is, `queries`
counts what training rows hold, `baselines` ranks without learning, `formats` writes rankings,
`scripts` writes the task as plain code, `serving` compares with the pipeline of transformers.
"""

from __future__ import annotations
