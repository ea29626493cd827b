"""Number formats of training: an autocast region, rounded products, and a gradient scaler where one is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from asr_lab.devices import best_device
from asr_lab.errors import LabError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.low_precision.linear import LowPrecisionLinear, Product, Region
from asr_lab.number_formats import LOW_PRECISIONS, Asked, Backend, Gpu, Scaling, has_package, unavailable
from asr_lab.training.precision.conversion import LayerPrecision, convert
from asr_lab.training.precision.products import products

_DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PrecisionManager:
    """One number format: weights stay in 32 bits, matrix products use `dtype` inside `autocast()`.

    In 8 and 4 bits, the products of the layers that `convert` replaced are rounded to the format there too, and
    everything else is in bfloat16.
    """

    def __init__(
        self,
        name: str,
        dtype: torch.dtype,
        tile: int = 1,
        product: Callable[[nn.Linear], Product] | None = None,
        allow_tf32: bool = False,
        asked: Asked | None = None,
    ) -> None:
        self.name = name
        self.asked = asked or Asked(name)
        self.dtype = dtype
        self.allow_tf32 = allow_tf32
        self._tile = tile
        self._product = product
        self._region = Region()
        self._layers: dict[str, LowPrecisionLinear] = {}

    @contextlib.contextmanager
    def autocast(self, device: torch.device | str | None = None) -> Iterator[None]:
        """A region in which matrix products use this format, on the CPU and on CUDA; for fp32 autocast is off there.

        `device` is where the tensors are; without it the CUDA device, if there is one, else the CPU.
        """
        kind = _device(device).type
        region = torch.autocast(kind, dtype=self.dtype, enabled=self.dtype != torch.float32)
        with region, self.rounding():
            yield

    @contextlib.contextmanager
    def rounding(self) -> Iterator[None]:
        """A region in which converted layers round: around the way back too, which may compute activations anew."""
        with self._region.entered(), _tf32(self.allow_tf32):
            yield

    def require(self, device: torch.device) -> None:
        """LabError, with the way out, where this machine cannot compute in it: nothing else is done instead."""
        require_machine(self.asked, device)

    def products(self) -> dict[str, bool | str]:
        """What products and convolutions are computed in, for the record of a run that called `set_products`."""
        matmul = torch.backends.cuda.matmul
        return {
            "type": self.name,
            "tf32": self.allow_tf32,
            "float32_matmul": torch.get_float32_matmul_precision(),
            "cudnn_tf32": torch.backends.cudnn.allow_tf32 or self.allow_tf32,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "reduced_precision_sums": matmul.allow_bf16_reduced_precision_reduction
            or matmul.allow_fp16_reduced_precision_reduction,
        }

    def convert(self, model: SpeechModel) -> tuple[LayerPrecision, ...]:
        """Have a model's layers round their products inside `autocast()`; a row for each linear layer.

        Empty for formats that autocast has. Parameters, their names and what is computed elsewhere stay as they are.
        It is to be called before the model is wrapped or has an optimizer. LabError where no layer can be converted.
        """
        if self._product is None:
            return ()
        rows = convert(model, self._tile, self._region, self._product)
        if all(row.kept_because for row in rows):
            raise LabError(
                f"precision.type: no layer would compute in {self.name}: it takes linear layers between the first and "
                f"the last whose dims are multiples of {self._tile}"
            )
        found = {row.name: model.get_submodule(row.name) for row in rows if not row.kept_because}
        self._layers = {name: layer for name, layer in found.items() if isinstance(layer, LowPrecisionLinear)}
        return rows

    def layer_for(self, linear: nn.Linear) -> nn.Linear:
        """What `convert` would put in the place of a layer whose dims are tiled: itself, where autocast does it all."""
        return linear if self._product is None else LowPrecisionLinear(linear, self._product(linear), self._region)

    def tensors(self) -> dict[str, Tensor]:
        """What the converted layers carry from step to step: live tensors, to save and to load into."""
        return {f"{name}.{key}": t for name, layer in self._layers.items() for key, t in layer.product.state().items()}

    def scaler(self, device: torch.device | str | None = None) -> torch.amp.GradScaler | None:
        """A fresh gradient scaler for fp16, whose small gradients would vanish otherwise; None for the others."""
        return torch.amp.GradScaler(_device(device).type) if self.dtype == torch.float16 else None

    def __repr__(self) -> str:
        return f"PrecisionManager({self.name!r})"


def get_precision_manager(
    name: str,
    emulate: bool = False,
    backend: Backend = "torchao",
    scaling: Scaling = "rowwise",
    *,
    allow_tf32: bool = False,
) -> PrecisionManager:
    """The manager of `fp32`, `bf16`, `fp16`, `fp8`, `mxfp8`, `mxfp4` or `nvfp4`.

    `emulate` rounds alike on any machine, slowly; without it the products run on the GPU by `backend`. `scaling` is
    fp8's. LabError for another name, a package that is absent, and a combination that no package has.
    """
    if name in _DTYPES:
        return PrecisionManager(name, _DTYPES[name], allow_tf32=allow_tf32)
    if name not in LOW_PRECISIONS:
        raise LabError(f"no precision called {name!r} (have: {', '.join((*_DTYPES, *LOW_PRECISIONS))})")
    asked = Asked(name, emulate, backend, scaling)
    tile, product = products(asked)
    return PrecisionManager(name, torch.bfloat16, tile, product, asked=asked)


def _device(device: torch.device | str | None) -> torch.device:
    if device is None:
        return best_device()
    return torch.device(device)


def require_machine(asked: Asked, device: torch.device, *, decoding: bool = False) -> None:
    """LabError, with the way out, where this machine cannot train, or decode, in what is asked.

    It imports no package and is called before the manager is built, which does: a GPU that is lacking is told first.
    """
    if (why := unavailable(asked, gpu_of(device), has_package, decoding=decoding)) is not None:
        raise LabError(f"{'decode.precision' if decoding else 'precision.type'}: {why}")


def gpu_of(device: torch.device) -> Gpu | None:
    """A CUDA device as far as number formats care; None for others."""
    if device.type != "cuda":
        return None
    return Gpu(torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device))


def set_products() -> None:
    """Have this process compute float32 products and convolutions in 32 bits and add up 16 bits in 32.

    torch allows cuDNN's convolutions 10 bits of mantissa unless told; `fp32` with `allow_tf32` allows them, and
    products, inside its regions alone.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


@contextlib.contextmanager
def _tf32(is_allowed: bool) -> Iterator[None]:
    if not is_allowed:
        yield
        return
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32
    cuda.allow_tf32 = cudnn.allow_tf32 = True
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before
