"""The product of each converted layer, by format and backend."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from asr_lab.errors import LabError, MissingPackageError
from asr_lab.nn.low_precision import schemes
from asr_lab.nn.low_precision.emulated import Emulated
from asr_lab.nn.low_precision.formats import E2M1, E4M3
from asr_lab.nn.low_precision.linear import Product
from asr_lab.number_formats import WAYS, Asked, impossible, installed_by, tile

SIGN_SEED = 1
"""Of the signs that nvfp4's rotation has."""
HISTORY = 1024
"""Steps that delayed scaling looks back, as in TransformerEngine."""

ProductOf = Callable[[nn.Linear], Product]


def products(asked: Asked) -> tuple[int, ProductOf]:
    """What dims must be divided by, and a layer's product.

    LabError for a combination that no package has; MissingPackageError where the package cannot be imported.
    """
    if (problem := impossible(asked)) is not None:
        raise LabError(f"precision.{problem[0]}: {problem[1]}")
    if asked.emulate:
        return tile(asked), lambda _: Emulated(_scheme(asked))
    # An import finds broken installations too: libraries that lack, a part that was never built.
    try:
        return tile(asked), _real(asked)
    except (ImportError, OSError, RuntimeError, AssertionError) as error:
        raise MissingPackageError(
            f"precision.type: {asked.backend} cannot be imported ({error}): {installed_by(asked.backend)}, or {WAYS}"
        ) from error


def _scheme(asked: Asked) -> schemes.Scheme:
    if asked.format == "fp8":
        kinds = {"rowwise": schemes.Rowwise, "tensorwise": schemes.Tensorwise}
        return schemes.Delayed(HISTORY) if asked.scaling == "delayed" else kinds[asked.scaling]()
    if asked.format == "nvfp4":
        return schemes.NVFP4()
    return schemes.Microscaling(E4M3 if asked.format == "mxfp8" else E2M1)


def _real(asked: Asked) -> ProductOf:
    if asked.backend == "transformer-engine":
        return _transformer_engine(asked)
    import torchao  # noqa: F401

    from asr_lab.nn.low_precision import torchao_products as torchao_

    if asked.format == "fp8":
        shared = torchao_.Float8Product(asked.scaling)
        return lambda _: shared
    if asked.format == "mxfp8":
        mx = torchao_.MXFP8Product()
        return lambda _: mx
    return lambda linear: torchao_.NVFP4Product(str(linear.weight.device), SIGN_SEED)


def _transformer_engine(asked: Asked) -> ProductOf:
    import transformer_engine.pytorch  # noqa: F401

    from asr_lab.nn.low_precision.te_products import TERecipe, TransformerEngineProduct

    recipes: dict[str, TERecipe] = {"mxfp8": "mxfp8", "nvfp4": "nvfp4"}
    scalings: dict[str, TERecipe] = {"delayed": "delayed", "tensorwise": "tensorwise"}
    recipe = scalings[asked.scaling] if asked.format == "fp8" else recipes[asked.format]
    return lambda linear: TransformerEngineProduct(linear.weight, recipe)
