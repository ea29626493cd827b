"""What torch's CUDA operators launch and wait for, by reading ATen and the documentation of torch 2.14."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

WAITS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.repeat_interleave.Tensor,
}
"""Operators whose result, or the shape of it, the host has to wait for."""
COPIES = {
    aten._to_copy.default,
    aten.copy_.default,
    aten._copy_from.default,
    aten._copy_from_and_resize.default,
}
INDEXED = {
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._unsafe_index.Tensor,
    aten._index_put_impl_.default,
}
"""Operators that take indices of the host beside the device's values."""
HOST_ARGUMENTS = {"_ctc_loss", "_ctc_loss_backward", "_use_cudnn_ctc_loss", "_use_miopen_ctc_loss"}
"""Others that do."""
WAITS_INSIDE = {"_ctc_loss": 3, "_ctc_loss_backward": 3}
"""Copies that an operator waits for: lengths and offsets (LossCTC.cu)."""
REFUSED_UNDER_BITWISE = {
    "_ctc_loss_backward",
    "cumsum",
    "cumsum_",
    "index_add",
    "index_put_accumulate",
    "scatter_add",
    "kthvalue",
    "median",
    "histc",
    "bincount",
    "grid_sampler_2d_backward",
    "upsample_linear1d_backward",
    "replication_pad1d_backward",
    "reflection_pad1d_backward",
    "max_unpool2d",
    "_adaptive_avg_pool2d_backward",
    "avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "max_pool3d_with_indices_backward",
    "put_",
    "nll_loss2d_forward",
}
"""What `torch.use_deterministic_algorithms(True)` raises on."""
FREE = {
    "detach",
    "alias",
    "lift_fresh",
    "empty",
    "empty_strided",
    "empty_like",
    "new_empty",
    "new_empty_strided",
    "device",
    "_local_scalar_dense",
    "_unsafe_view",
    "_reshape_alias",
    "is_same_size",
    "sym_size",
    "_fused_sdp_choice",
    "_has_compatible_shallow_copy_type",
}
"""No kernel is launched."""
KERNELS = {
    "_ctc_loss": 2,
    "_ctc_loss_backward": 4,
    "native_layer_norm_backward": 2,
    "convolution_backward": 2,
    "topk": 2,
    "sort": 3,
    "cumsum": 2,
    "nonzero": 3,
    "scatter": 2,
    "constant_pad_nd": 2,
}
"""Of an operator that launches more than one, about."""
_TENSORS_OF_A_FOREACH, _VALUES_OF_A_FOREACH = 110, 320 * 65536
"""What one launch over a list of tensors holds (MultiTensorApply.cuh)."""


def num_kernels(name: str, args: tuple[Any, ...]) -> int:
    """How many kernels an operator launches."""
    if not name.startswith(("_foreach", "_fused", "_amp_foreach")):
        return KERNELS.get(name, 1)
    lists = [x for x in args if isinstance(x, (list, tuple)) and x and isinstance(x[0], Tensor)]
    if not lists:
        return 1
    values = sum(t.numel() for t in lists[0])
    return max(1, math.ceil(max(len(lists[0]) / _TENSORS_OF_A_FOREACH, values / _VALUES_OF_A_FOREACH)))


def computed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator's result from values that lie in the processor's memory, where it is not simply the processor's."""
    name = func._overloadpacket.__name__
    if name == "_fused_sdp_choice":
        return 2  # the memory-efficient kernel
    if name == "_use_miopen_ctc_loss":
        return False
    if name == "_use_cudnn_ctc_loss":  # it wants int32, targets in one row, all lengths on the host
        return args[1].dtype == torch.int32 and args[1].dim() == 1 and args[4] == 0
    if name == "_scaled_dot_product_efficient_attention":
        return _attention(*args, **kwargs)
    if name == "_scaled_dot_product_efficient_attention_backward":
        return _attention_backward(args, kwargs)
    if name in ("_softmax", "_log_softmax") and args[2]:  # half to float, which only CUDA has
        return func(args[0].float(), args[1], False)
    if name in ("_softmax_backward_data", "_log_softmax_backward_data") and args[3] != args[0].dtype:
        return func(args[0], args[1], args[2], args[0].dtype).to(args[3])
    return func(*args, **kwargs)


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    log_sums: bool,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y = (_weights(q, k, bias, is_causal, scale) @ v.float()).to(q.dtype).transpose(1, 2).contiguous().transpose(1, 2)
    seed = torch.zeros((), dtype=torch.int64)
    return y, torch.zeros(q.shape[:3]), seed, seed.clone()


def _attention_backward(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor | None, ...]:
    grad, q, k, v, bias = args[:5]
    is_causal, scale = (args[11] if len(args) > 11 else False), kwargs.get("scale") or q.shape[-1] ** -0.5
    weights, grad = _weights(q, k, bias, is_causal, scale), grad.float()
    dweights = grad @ v.float().mT
    dscores = weights * (dweights - (weights * dweights).sum(-1, keepdim=True))
    found = (dscores @ k.float() * scale, dscores.mT @ q.float() * scale, weights.mT @ grad)
    return (*(x.to(q.dtype) for x in found), None)


def _weights(q: Tensor, k: Tensor, bias: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    scores = q.float() @ k.float().mT * (scale or q.shape[-1] ** -0.5)
    scores = scores if bias is None else scores + bias.float()
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu_(1), -math.inf)
    return scores.softmax(-1)
