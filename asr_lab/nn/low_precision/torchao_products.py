"""Products by torchao's kernels; the only module that knows its interface (0.18), parts of which are prototypes."""

from __future__ import annotations

import random
from typing import Any, cast

from torch import Tensor
from torch.nn import functional as F


class Float8Product:
    """E4M3 or E5M2 by torchao's recipe `rowwise` or `tensorwise`, on GPUs of compute capability 8.9 or 9.0 and above.

    Rows are padded with zeros to a multiple of 16, which the product of the weight's gradient sums over.
    """

    def __init__(self, recipe: str) -> None:
        from torchao.float8 import Float8LinearConfig
        from torchao.float8.float8_training_tensor import LinearMMConfig, ScaledMMConfig

        self._config = config = Float8LinearConfig.from_recipe_name(recipe)
        gemms = (config.gemm_config_output, config.gemm_config_grad_input, config.gemm_config_grad_weight)
        self._gemms = LinearMMConfig(*(ScaledMMConfig(False, g.use_fast_accum, False, False) for g in gemms))

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        from torchao.float8.float8_linear import matmul_with_hp_or_float8_args as product

        rows = len(x)
        y: Any = product.apply(_whole_tiles(x, 16), weight.t(), self._gemms, self._config)
        return cast(Tensor, y[:rows])

    def state(self) -> dict[str, Tensor]:
        """See Product: every scale is taken from the tensor itself."""
        return {}


class MXFP8Product:
    """MX blocks of 32 in E4M3, on GPUs of compute capability 10.0.

    Rows are padded with zeros to a multiple of 32.
    """

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        import torch
        from torchao.prototype.moe_training.mxfp8_linear import mx_mm
        from torchao.prototype.mx_formats.config import MXFP8Dim0CastKernelChoice as Rows
        from torchao.prototype.mx_formats.config import MXFP8Dim1CastKernelChoice as Columns
        from torchao.prototype.mx_formats.config import ScaleCalculationMode
        from torchao.quantization.quantize_.common.kernel_preference import KernelPreference

        e4m3, rows = torch.float8_e4m3fn, len(x)
        y: Any = mx_mm.apply(
            _whole_tiles(x, 32),
            weight.to(x.dtype),
            e4m3,
            e4m3,
            e4m3,
            32,
            KernelPreference.AUTO,
            Rows.TRITON,
            Columns.CUDA,
            ScaleCalculationMode.RCEIL,
            False,
        )
        return cast(Tensor, y[:rows])

    def state(self) -> dict[str, Tensor]:
        """See Product."""
        return {}


class NVFP4Product:
    """E2M1 in blocks of 16 with rotated, stochastically rounded gradients, on GPUs of compute capability 10.0.

    Rows are padded with zeros to a multiple of 128.
    """

    def __init__(self, device: str, seed: int) -> None:
        import torch

        draw = random.Random(seed)
        self._signs = tuple(draw.choice((-1, 1)) for _ in range(16))
        self._seed = torch.tensor([seed], dtype=torch.int64, device=device)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        from torchao.prototype.moe_training.nvfp4_training.nvfp4_linear import nvfp4_mm_triton

        rows = len(x)
        y: Any = nvfp4_mm_triton.apply(_whole_tiles(x, 128), weight, None, self._seed, self._signs)
        return cast(Tensor, y[:rows])

    def state(self) -> dict[str, Tensor]:
        """See Product: what is drawn comes from torch's generator of the device."""
        return {}


def _whole_tiles(x: Tensor, size: int) -> Tensor:
    """With rows of zeros behind, to a multiple of `size`: they add nothing to any product."""
    return F.pad(x, (0, 0, 0, -len(x) % size)).contiguous()
