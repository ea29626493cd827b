"""Number formats of training: what a recipe's `[precision]` builds."""

from asr_lab.training.precision.conversion import LayerPrecision
from asr_lab.training.precision.manager import (
    PrecisionManager,
    get_precision_manager,
    require_machine,
    set_products,
)

__all__ = ["LayerPrecision", "PrecisionManager", "get_precision_manager", "require_machine", "set_products"]
