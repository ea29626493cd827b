"""The table of what is computed in which format, as people read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asr_lab.training.precision.conversion import LayerPrecision

HIGH = "bf16"
"""What products are in that are not rounded."""


def precision_table(name: str, rows: Sequence[LayerPrecision], *, is_grouped: bool = False) -> str:
    """A line for each linear layer: inputs, outputs, format, name, and why it is kept high; "" without rows.

    Grouped, layers that differ in the numbers of their names alone are one line, with how many they are.
    """
    if not rows:
        return ""
    rounded = [row for row in rows if not row.kept_because]
    weights, whole = (sum(row.shape[0] * row.shape[1] for row in some) for some in (rounded, rows))
    lines = [
        f"{name} in {len(rounded)} of {len(rows)} linear layers, which have {100 * weights / whole:.1f} % of the "
        "weights of all of them;",
        f"other products and convolutions in {HIGH}, norms, softmax, losses and state-space parameters in 32 bits",
    ]
    groups: dict[tuple[str, tuple[int, int], str], int] = {}
    for row in rows:
        label = re.sub(r"\d+", "*", row.name) if is_grouped else row.name
        key = (label, row.shape, row.kept_because)
        groups[key] = groups.get(key, 0) + 1
    width = max(len(label) for label, _, _ in groups)
    lines.append(f"{'inputs':>7} {'outputs':>7}  {'format':<6} {'layers' if is_grouped else ''}".rstrip())
    for (label, (inputs, outputs), because), count in groups.items():
        form, times = HIGH if because else name, f"{count:>6} " if is_grouped else ""
        lines.append(f"{inputs:>7} {outputs:>7}  {form:<6} {times}{label:<{width}}  {because}".rstrip())
    return "\n".join(lines)
