"""What torch asks of CUDA before it computes, answered on a machine that has none.

Of torch's own tables one entry is replaced: the engine that walks a graph backwards asks whether device 0 has a
context, and on a machine without a driver that question raises (ATen/detail/AcceleratorHooksInterface.h, the fifth
virtual function).
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.cuda.amp.common
import torch.utils._foreach_utils
from torch import Tensor
from torch.nn import functional as F

CHECKED_TORCH = ("2.13", "2.14", "2.15")
"""Versions of torch whose table of virtual functions was read."""
_TABLE_ENTRIES = 120
_HAS_CONTEXT = 4
"""Its place: two destructors, isBuilt and isAvailable come before it."""
_kept: list[Any] = []


def let_autograd_run() -> None:
    """Let graphs of CUDA tensors be walked backwards without a driver; before the first backward of the process."""
    if _kept or torch.cuda.is_available():
        return
    lib = ctypes.CDLL(os.path.join(torch.__path__[0], "lib", "libtorch_cpu.so"))
    get_hooks = lib._ZN2at6detail12getCUDAHooksEv
    get_hooks.restype = ctypes.c_void_p
    pointer = ctypes.c_void_p.from_address(get_hooks())
    table_type = ctypes.c_void_p * (_TABLE_ENTRIES + 2)  # two words stand before the first function
    assert pointer.value is not None
    table = table_type(*table_type.from_address(pointer.value - 16))
    answer = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_byte)(lambda hooks, index: True)
    table[2 + _HAS_CONTEXT] = ctypes.cast(answer, ctypes.c_void_p).value
    pointer.value = ctypes.addressof(table) + 16
    _kept.extend([table, answer])
    torch._C._ensureCUDADeviceGuardSet()


class _Event:
    """What a stopwatch asks of a CUDA event."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def record(self, *args: Any) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, other: Any) -> float:
        return 0.0


@contextlib.contextmanager
def cuda_is_there(tensor_type: type[Tensor] | None = None) -> Iterator[None]:
    """What torch's Python asks before it allows autocast, a scaler or an event on CUDA, or foreach on `tensor_type`."""
    cuda, common, functional = torch.cuda, torch.cuda.amp.common, torch.nn.functional
    saved = common.amp_definitely_not_available, cuda.is_bf16_supported, cuda._lazy_init, cuda.Event
    attention, foreach = F.scaled_dot_product_attention, torch.utils._foreach_utils._foreach_supported_types
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    seeds = cuda.manual_seed, cuda.manual_seed_all, cuda.get_rng_state, cuda.set_rng_state
    state = torch.random.get_rng_state()
    try:
        common.amp_definitely_not_available = lambda: False
        cuda.is_bf16_supported = lambda *args, **kwargs: True
        cuda._lazy_init, cuda.Event = lambda: None, _Event
        # Values are drawn by the processor's generator, which is seeded beside.
        cuda.manual_seed = cuda.manual_seed_all = lambda seed: None
        cuda.get_rng_state, cuda.set_rng_state = (lambda *args: state.clone()), (lambda *args: None)
        functional.scaled_dot_product_attention = _memory_efficient_attention
        if tensor_type is not None:
            foreach.append(tensor_type)
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # Module.to makes new parameters
        yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
        if tensor_type is not None:
            foreach.remove(tensor_type)
        functional.scaled_dot_product_attention = attention
        common.amp_definitely_not_available, cuda.is_bf16_supported, cuda._lazy_init, cuda.Event = saved
        cuda.manual_seed, cuda.manual_seed_all, cuda.get_rng_state, cuda.set_rng_state = seeds


def _memory_efficient_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The kernel that CUDA would choose: it takes masks, float32 and bfloat16."""
    if torch.is_autocast_enabled("cuda"):
        q, k, v = (x.to(torch.get_autocast_dtype("cuda")) for x in (q, k, v))
    bias = None
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        bias = torch.zeros(attn_mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~attn_mask, -math.inf)
        bias = bias.expand(*q.shape[:3], k.shape[2])
    elif attn_mask is not None:
        bias = attn_mask.to(q.dtype).expand(*q.shape[:3], k.shape[2])
    attend = torch.ops.aten._scaled_dot_product_efficient_attention
    found: Tensor = attend(q, k, v, bias, True, dropout_p, is_causal, scale=scale)[0]
    return found
