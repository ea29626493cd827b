"""The arithmetic of level `cross_hardware`: every operator that torch runs is exact, replaced or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from asr_lab.errors import LabError
from asr_lab.training.cross_hardware.operators import EXACT, ORDERED
from asr_lab.training.cross_hardware.product_operators import PRODUCTS
from asr_lab.training.cross_hardware.products import Products

FOREACH = "_foreach_"


class CrossHardwareMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A `with` block in which torch computes the same bits on any machine that rounds as IEEE 754 says.

    It sees what torch runs below its functions and autograd, backward and optimizer included, so nothing passes
    unseen. LabError names an operator that is neither exact nor replaced. `is_checked` looks at the steps of
    replacements too; it is slower and for tests.
    """

    def __init__(self, products: Products, *, is_checked: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = products
        self.is_checked = is_checked

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.removeprefix("aten::")
        is_in_place = name.endswith("_") and not name.endswith("__")
        name = name.removesuffix("_") if is_in_place else name
        if name.startswith(FOREACH):
            return self._each(name, is_in_place, args, kwargs)
        if name in EXACT and kwargs.get("alpha", 1) == 1:
            return func(*args, **kwargs)
        if not _has_floats((args, kwargs)) and not _has_floats(found := func(*args, **kwargs)):
            return found  # whole numbers and booleans
        if name not in ORDERED and name not in PRODUCTS:
            with self:  # where autograd has not taken it apart
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            raise LabError(refusal(f"torch's operator {name}"))
        if not self.is_checked:
            return self._replaced(name, is_in_place, args, kwargs)
        with self:
            return self._replaced(name, is_in_place, args, kwargs)

    def _replaced(self, name: str, is_in_place: bool, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out", None)
        try:
            result = (
                PRODUCTS[name](self.products, *args, **kwargs) if name in PRODUCTS else ORDERED[name](*args, **kwargs)
            )
        except NotImplementedError as error:
            raise LabError(refusal(str(error))) from error
        target = out if out is not None else args[0] if is_in_place and isinstance(args[0], Tensor) else None
        return result if target is None else target.copy_(result)

    def _each(self, name: str, is_in_place: bool, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """An operator on lists, tensor by tensor."""
        operator = getattr(torch.ops.aten, name.removeprefix(FOREACH))
        results = []
        for place, tensor in enumerate(args[0]):
            own = [a[place] if isinstance(a, (list, tuple)) else a for a in args[1:]]
            scaled = {"value": own.pop()} if name.endswith(("addcmul", "addcdiv")) and len(own) > 2 else {}
            with self:
                found = operator(tensor, *own, **kwargs, **scaled)
                results.append(tensor.copy_(found) if is_in_place else found)
        return None if is_in_place else results


def refusal(what: str) -> str:
    """Why level `cross_hardware` ends, and the way out."""
    return (
        f"determinism.level = 'cross_hardware' does not cover {what}: its bits may depend on the machine. "
        "Leave out of the recipe what uses it, or set determinism.level = 'bitwise' (see docs/determinism.md)"
    )


def _has_floats(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() or value.is_complex()
    if isinstance(value, Mapping):
        value = value.values()
    return isinstance(value, (list, tuple, type({}.values()))) and any(map(_has_floats, value))
