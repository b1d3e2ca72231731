"""The fast engine: the same steps as the exact engine, computed faster.

`probe` compares both on a few rows; `engine` computes steps with `packing`, `attention`, `dropout`,
`embedding` and `bf16_linear`. Layers that `encoder_layer` recognizes are computed by `fused_layer`,
and weights updated by `update`, both with `kernels`. On a GPU: `ragged_attention` and CUDA
`graphs`. `predictor` predicts with `inference_layer`, `process` tunes the process; `waiting` lets
threads wait as `neighbors` suggests, the load by other processes. `openmp` finds torch's threads.
"""

from __future__ import annotations
