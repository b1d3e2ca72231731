"""Token classification: entities of texts and classes of words.

`columns` finds the data, `rows` checks it, `windows` cuts long texts and aligns words with tokens,
`task` is the network and its loss, `answers` makes words and entities of predictions, `tag_counts`
and `entity_kind` count and compare them, `baselines` answers without a model, `pipeline` compares
with the pipeline of transformers.
"""

from __future__ import annotations
