"""A GPU that is not there: tensors say `cuda:0` to Python and to C++, and their values lie in the processor's memory.

So CUDA's autocast table, CUDA's branches of composite operators and the engine's device threads are the ones that run,
with true values, optimizer and decoding included. What CUDA would raise where devices are mixed is raised; what costs
time there is counted: kernels, waits of the host with the line that makes them, copies from pageable memory, float64
values, and operators that `use_deterministic_algorithms` refuses.
"""

from __future__ import annotations

import collections
import contextlib
import sys
from typing import Any

import torch
from cuda_operators import (
    COPIES,
    FREE,
    HOST_ARGUMENTS,
    INDEXED,
    REFUSED_UNDER_BITWISE,
    WAITS,
    WAITS_INSIDE,
    aten,
    computed,
    num_kernels,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from without_driver import cuda_is_there, let_autograd_run

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


class OnGpu(Tensor):
    """A tensor that says it is on cuda:0; its values are `held`, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> OnGpu:
        ghost = torch.empty_strided(real.size(), real.stride(), dtype=real.dtype, device="meta")
        made: OnGpu = Tensor._make_subclass(cls, ghost, False, dispatch_device=True, device_for_backend_keys=CUDA)
        made.held = real
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnGpu({tuple(self.held.shape)}, {self.held.dtype})"

    def tolist(self) -> Any:
        return self.cpu().tolist()  # as torch does for a tensor on CUDA

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:
            return CUDA
        if PretendedGpu.active is None:
            raise RuntimeError(f"{func} on a tensor of a pretended GPU outside it")
        return PretendedGpu.active.run(func, args, kwargs or {})


class PretendedGpu(TorchDispatchMode):
    """In here `device="cuda"` works, with CUDA's rules."""

    active: PretendedGpu | None = None

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        """Count from 0 again."""
        self.kernels: collections.Counter[str] = collections.Counter()
        """By operator."""
        self.kernels_by_line: collections.Counter[str] = collections.Counter()
        self.waits: collections.Counter[str] = collections.Counter()
        """Of the host for the device, by line and reason."""
        self.uploads: collections.Counter[str] = collections.Counter()
        """Bytes from pageable memory, by line."""
        self.float64: collections.Counter[str] = collections.Counter()
        """Values that kernels make, by line."""
        self.unrepeatable: collections.Counter[str] = collections.Counter()
        """Operators that `bitwise` refuses, with their line."""

    def __enter__(self) -> PretendedGpu:
        let_autograd_run()
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(cuda_is_there(OnGpu))
        PretendedGpu.active = self
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda") copies where the mode sees it
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._lifted)
        PretendedGpu.active = None
        self._stack.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """One operator: checked, counted, computed from the values that are held."""
        if func is torch.ops.prim.device.default:
            return CUDA if isinstance(args[0], OnGpu) else args[0].device
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        on_gpu = [x for x in tensors if isinstance(x, OnGpu)]
        device = None if kwargs.get("device") is None else torch.device(kwargs["device"])
        if not on_gpu and (device is None or device.type != "cuda"):
            return func(*args, **kwargs)
        to_gpu = bool(on_gpu) if device is None else device.type == "cuda"
        strangers = [x for x in tensors if not isinstance(x, OnGpu) and x.dim() > 0]
        if on_gpu and strangers:
            _refuse_mixed(func, strangers[0])
        self._count_waits(func, args, kwargs, bool(on_gpu), to_gpu)
        real_args, real_kwargs = tree_map(lambda x: x.held if isinstance(x, OnGpu) else x, (args, kwargs))
        if device is not None:
            real_kwargs = {**real_kwargs, "device": CPU}
        if real_kwargs.get("pin_memory"):
            real_kwargs = {**real_kwargs, "pin_memory": False}
        out = computed(func, real_args, real_kwargs)
        self._count_kernels(func, real_args, out)
        return _wrapped(func, args, kwargs, out, to_gpu)

    def _count_waits(self, func: Any, args: Any, kwargs: dict[str, Any], has_gpu: bool, to_gpu: bool) -> None:
        name = func._overloadpacket.__name__
        if func in COPIES:
            self._count_copy(func, args, kwargs, to_gpu)
            return
        if func in WAITS and has_gpu:
            self.waits[f"{line()} {name}"] += 1
        if name in WAITS_INSIDE:
            self.waits[f"{line()} inside {name}"] += WAITS_INSIDE[name]
        if func is aten._ctc_loss.Tensor:  # both lengths are read on the host before anything is launched
            self.waits[f"{line()} ctc_loss reads lengths"] += sum(isinstance(x, OnGpu) for x in args[2:4])
        if func in INDEXED and has_gpu:
            indices = [i for i in args[1] if isinstance(i, Tensor)]
            if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
                self.waits[f"{line()} {name} by a mask"] += 1
            for i in indices:
                if not isinstance(i, OnGpu) and i.dim():
                    self.uploads[f"{line()} index"] += i.numel() * i.element_size()

    def _count_copy(self, func: Any, args: Any, kwargs: dict[str, Any], to_gpu: bool) -> None:
        from_gpu, moved, is_async = isinstance(args[0], OnGpu), args[0], kwargs.get("non_blocking", False)
        if func is aten.copy_.default:
            to_gpu, from_gpu, moved = from_gpu, isinstance(args[1], OnGpu), args[1]
            is_async = args[2] if len(args) > 2 else is_async
        if to_gpu and not from_gpu:
            self.uploads[line()] += moved.numel() * moved.element_size()
            if not is_async:  # copy_ ends with cudaStreamSynchronize
                self.waits[f"{line()} upload"] += 1
        elif from_gpu and not to_gpu:
            self.waits[f"{line()} copy to the host"] += 1

    def _count_kernels(self, func: Any, args: Any, out: Any) -> None:
        name = func._overloadpacket.__name__
        made = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if name in FREE or (made and func.is_view) or func._schema.name.startswith("prim"):
            return
        count, where = num_kernels(name, args), line()
        self.kernels[name] += count
        self.kernels_by_line[where] += count
        if values := sum(t.numel() for t in made if t.dtype == torch.float64):
            self.float64[where] += values
        if name in REFUSED_UNDER_BITWISE:
            self.unrepeatable[f"{name} ({where})"] += 1


def line() -> str:
    """The innermost line of asr_lab above an operator; `(autograd)` where the engine walks a graph on its own."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if "/asr_lab/" in path and "site-packages" not in path:
            return f"{path.rsplit('/asr_lab/', 1)[1]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "(autograd)"


def _refuse_mixed(func: Any, stranger: Tensor) -> None:
    if func not in COPIES and func not in INDEXED and func._overloadpacket.__name__ not in HOST_ARGUMENTS:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
            f"({func}: a tensor {tuple(stranger.shape)} {stranger.dtype} on the cpu)"
        )


def _wrapped(func: Any, args: Any, kwargs: dict[str, Any], out: Any, to_gpu: bool) -> Any:
    """What an operator gives, on the GPU; where it gives an argument that it wrote into, that very one."""

    def lifted(x: Any) -> Any:
        return OnGpu(x) if isinstance(x, Tensor) and to_gpu else x

    if out is None:
        return None
    arguments, returns = func._schema.arguments, func._schema.returns
    is_single = not isinstance(out, (tuple, list))
    if len(returns) == 1 and not is_single:  # a list of tensors
        return type(out)(lifted(x) for x in out)
    values = {a.name: x for a, x in zip(arguments, args, strict=False)} | kwargs
    aliases = [a for a in arguments if a.alias_info is not None and a.alias_info.is_write]
    written = {next(iter(a.alias_info.before_set)): values.get(a.name) for a in aliases}
    made = []
    for result, x in zip(returns, [out] if is_single else out, strict=True):
        if result.alias_info is None or not result.alias_info.is_write:
            made.append(lifted(x))
            continue
        target = written[next(iter(result.alias_info.before_set))]
        if isinstance(target, OnGpu) and target.shape != target.held.shape:
            raise NotImplementedError(f"{func} changes its argument's shape")
        made.append(target)
    return made[0] if is_single else tuple(made)
