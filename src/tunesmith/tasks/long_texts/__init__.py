"""Texts longer than the model reads: cut, or read in windows whose logits are pooled.

`options` is what can be set, `places` which tokens are retained, `encode` makes token ids of them,
and `pooling` makes the logits of windows those of their text.
"""
