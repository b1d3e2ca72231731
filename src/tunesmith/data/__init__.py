"""Data: from files to rows, columns, splits and token ids.

`open` finds the reader of a file in `readers`. `scan` reads every row once and collects `findings`;
`columns` names their roles, `splits` draws validation and test rows, `near_duplicates` keeps equal
texts together. `token_cache` stores token ids on disk, `batches` makes tensors of them.

Data that is read shard by shard has a `shard_index` for each file of a `sharded` source; `held_out`
takes validation rows out of it, `windows` has its order, `streamed` its tokenized shards.
"""

from __future__ import annotations
