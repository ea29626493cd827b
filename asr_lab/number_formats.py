"""What the number formats of training need of a GPU, of packages and of a layer's dims; it loads no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

Format = Literal["fp32", "bf16", "fp16", "fp8", "mxfp8", "mxfp4", "nvfp4"]
LowPrecision = Literal["fp8", "mxfp8", "mxfp4", "nvfp4"]
Backend = Literal["torchao", "transformer-engine"]
Scaling = Literal["rowwise", "tensorwise", "delayed"]
FORMATS: tuple[str, ...] = get_args(Format)
LOW_PRECISIONS: tuple[str, ...] = get_args(LowPrecision)
IMPORTED_AS = {"torchao": "torchao", "transformer-engine": "transformer_engine.pytorch"}
BLACKWELL = (10, 0)
WAYS = "--set precision.type=bf16 or --set precision.emulate=true"
"""Out of what a machine lacks for a low precision."""
FIRST_OF_TORCH = (7, 5)
"""The oldest compute capability that this torch's CUDA 13 build has kernels for."""


class Asked(NamedTuple):
    """What a recipe's `[precision]` asks for."""

    format: str
    emulate: bool = False
    backend: Backend = "torchao"
    scaling: Scaling = "rowwise"


class Gpu(NamedTuple):
    """A GPU as far as number formats care."""

    name: str
    capability: tuple[int, int]
    """(9, 0) is sm_90."""

    def __str__(self) -> str:
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]})"


def tile(asked: Asked) -> int:
    """What both dims of a linear layer must be divided by to be converted; 1 where none is."""
    if asked.format not in LOW_PRECISIONS:
        return 1
    if asked.format == "fp8":
        return 16
    if asked.format == "nvfp4":
        return 16 if asked.emulate or asked.backend == "transformer-engine" else 128
    return 32


def impossible(asked: Asked) -> tuple[str, str] | None:
    """The key and why no machine can do it; None where one can."""
    if asked.format == "fp8" and asked.backend == "torchao" and asked.scaling == "delayed" and not asked.emulate:
        return "scaling", (
            'torchao has no delayed scaling: write backend = "transformer-engine", scaling = "rowwise" '
            "or emulate = true"
        )
    if asked.format == "fp8" and asked.backend == "transformer-engine" and asked.scaling == "rowwise":
        return "scaling", (
            'TransformerEngine has no rowwise scaling: write scaling = "delayed" or "tensorwise", '
            'or backend = "torchao"'
        )
    if asked.format == "mxfp4" and not asked.emulate:
        return "type", 'no package trains MXFP4 on hardware: write emulate = true, which is slow, or type = "nvfp4"'
    return None


def unavailable(
    asked: Asked, gpu: Gpu | None, has_package: Callable[[str], bool], *, decoding: bool = False
) -> str | None:
    """Why this machine cannot compute in it, with the way out; None where it can. `gpu` is None on a CPU.

    Of a run that is decoded the training's format stands: the way out is another one to decode in.
    """
    low = asked.format in LOW_PRECISIONS
    ways = "--set decode.precision=fp32" if decoding else WAYS
    if gpu is not None and gpu.capability < FIRST_OF_TORCH:
        return (
            f"this build of torch has no kernels for {gpu}; PyTorch's build for CUDA 12.6 has: "
            "install torch from its index cu126, or set CUDA_VISIBLE_DEVICES= to compute on the CPU"
        )
    if not low or asked.emulate:
        if gpu is not None and (asked.format == "bf16" or low) and gpu.capability < (8, 0):
            way = ways if decoding else "--set precision.type=fp16"
            return f"bfloat16 needs compute capability 8.0, and this is {gpu}: {way}"
        return None
    if gpu is None:
        return f"{asked.format} needs a GPU, and this machine has none: {ways}"
    least, most = _capabilities(asked)
    if gpu.capability < least or (most is not None and gpu.capability >= most):
        below = "" if most is None else f" and below {_spelled(most)}"
        return f"{spoken(asked)} needs compute capability {_spelled(least)}{below}, and this is {gpu}: {ways}"
    if not has_package(asked.backend):
        return (
            f"{spoken(asked)} needs {asked.backend}, which is not installed: {installed_by(asked.backend)}, or {ways}"
        )
    return None


def has_package(backend: str) -> bool:
    """Whether a backend's package can be found; nothing of it is loaded."""
    try:
        return importlib.util.find_spec(IMPORTED_AS[backend]) is not None
    except (ImportError, ValueError):
        return False


def installed_by(backend: str) -> str:
    """The command that installs a backend's package."""
    if backend == "torchao":
        return "uv sync --extra torchao"
    return "uv sync --extra transformer-engine, which needs nvcc"


def mixes_rows(asked: Asked) -> bool:
    """Whether a frame's rounding depends on other frames and utterances of its batch."""
    return asked.format == "nvfp4" or (asked.format == "fp8" and asked.scaling != "rowwise")


def _capabilities(asked: Asked) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """From which compute capability on, and from which on no more."""
    if asked.format == "fp8":
        return ((9, 0) if asked.scaling == "rowwise" else (8, 9)), None
    # Consumer Blackwell (12.x) has other instructions; TransformerEngine runs NVFP4 on them.
    if asked.format == "nvfp4" and asked.backend == "transformer-engine":
        return BLACKWELL, None
    return BLACKWELL, (11, 0)


def spoken(asked: Asked) -> str:
    """A format with its scaling, as people say it."""
    return f"{asked.scaling} fp8" if asked.format == "fp8" else asked.format


def _spelled(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
