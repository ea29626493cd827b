"""Products by TransformerEngine's kernels; the only module that knows its interface (2.20)."""

from __future__ import annotations

from typing import Any, Literal, cast

from torch import Tensor
from torch.nn import functional as F

TERecipe = Literal["delayed", "tensorwise", "mxfp8", "nvfp4"]
ROWS = {"delayed": 16, "tensorwise": 16, "mxfp8": 32, "nvfp4": 32}
"""What the number of rows of a product must be divided by."""


class TransformerEngineProduct:
    """One layer's product by `te.Linear`, which is given the layer's own weight; CUDA alone.

    What delayed scaling carries is saved as plain tensors: TransformerEngine's own extra state is a pickle.
    """

    def __init__(self, weight: Tensor, recipe: TERecipe) -> None:
        import transformer_engine.pytorch as te

        rows, columns = weight.shape
        linear = te.Linear(columns, rows, bias=False, params_dtype=weight.dtype, device="meta")
        linear.weight = weight
        # In a tuple: its parameter is the layer's, and would be counted twice as a submodule's.
        self._linear = (linear,)
        self._recipe = _recipe(recipe)
        self._rows = ROWS[recipe]

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        import transformer_engine.pytorch as te

        (linear,) = self._linear
        linear.weight = weight
        rows = len(x)
        with te.autocast(enabled=True, recipe=self._recipe):
            y = linear(F.pad(x, (0, 0, 0, -rows % self._rows)))
        return cast(Tensor, y[:rows])

    def state(self) -> dict[str, Tensor]:
        """See Product; empty before the first product and for scales taken from the tensor itself."""
        (linear,) = self._linear
        found: dict[str, Tensor] = {}
        for key, meta in sorted(linear.fp8_meta.items()):
            for name in ("amax_history", "scale"):
                value = getattr(meta, name, None)
                if isinstance(value, Tensor):
                    found[f"{key}.{name}"] = value
        return found


def _recipe(name: TERecipe) -> Any:
    from transformer_engine.common import recipe

    if name == "delayed":
        return recipe.DelayedScaling()
    if name == "tensorwise":
        return recipe.Float8CurrentScaling()
    return recipe.MXFP8BlockScaling() if name == "mxfp8" else recipe.NVFP4BlockScaling()
