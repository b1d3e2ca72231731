"""A copy of a run folder in an object store, from which another machine continues.

In this order: `location` reads an address, `open_store` makes the `store` behind it, one of
`local_stores`, `s3_store`, `gcs_store` and `azure_store`, whose libraries' errors `store_errors`
gives a code. `probe` tries it, `lease` makes this process its one writer, `fetch` brings the newest
whole `snapshot` here, `upload` sends one, and `mirror` does so while training goes on.
"""

from __future__ import annotations
