"""Parameter groups by name: which parameters a setting is for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

from torch import nn

from asr_lab.errors import LabError, shown_name


class GroupRule(Protocol):
    """Settings for the parameters whose names match one of some patterns."""

    @property
    def match(self) -> tuple[str, ...]: ...

    @property
    def lr_scale(self) -> float: ...

    @property
    def weight_decay(self) -> float | None: ...


def parameter_groups(
    model: nn.Module, groups: Sequence[GroupRule], weight_decay: float, *, strict: bool = True
) -> list[dict[str, Any]]:
    """The trainable parameters as groups for a torch optimizer, each parameter in exactly one.

    A parameter goes to the first rule that matches it, the others to a group with `weight_decay` and `lr_scale` 1.
    Each group has `params`, `weight_decay` and `lr_scale`; groups without a trainable parameter are left out. LabError
    for a pattern that matches no parameter of the model (unless not `strict`), and for a rule that takes none because
    earlier ones took them all.
    """
    parameters = dict(model.named_parameters())
    if not any(p.requires_grad for p in parameters.values()):
        raise LabError("the model has no parameter to train: everything is frozen")
    taken: list[list[str]] = [[] for _ in range(len(groups) + 1)]
    for name in parameters:
        taken[first_match(name, [rule.match for rule in groups])].append(name)
    if strict:
        for index, (rule, names) in enumerate(zip(groups, taken, strict=False)):
            require_matches(rule.match, parameters, f"optimizer.group[{index}].match")
            if not names:
                raise LabError(f"optimizer.group[{index}]: earlier groups took every parameter that it matches")
    settings = [(r.weight_decay if r.weight_decay is not None else weight_decay, r.lr_scale) for r in groups]
    result: list[dict[str, Any]] = []
    for names, (decay, lr_scale) in zip(taken, [*settings, (weight_decay, 1.0)], strict=True):
        params = [parameters[n] for n in names if parameters[n].requires_grad]
        if params:
            result.append({"params": params, "weight_decay": decay, "lr_scale": lr_scale})
    return result


def first_match(name: str, patterns: Sequence[Sequence[str]]) -> int:
    """The place of the first list of patterns of which one matches `name`; `len(patterns)` when none does."""
    for index, some in enumerate(patterns):
        if any(fnmatchcase(name, p) for p in some):
            return index
    return len(patterns)


def require_matches(patterns: Sequence[str], names: Iterable[str], where: str) -> None:
    """LabError naming the first pattern that matches none of `names`, and the names nearest to it."""
    names = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(n, pattern) for n in names):
            near = nearest(pattern, names)
            raise LabError(f"{where}: {pattern!r} matches no parameter; near it: {', '.join(map(shown_name, near))}")


def nearest(pattern: str, names: Sequence[str], count: int = 3) -> list[str]:
    """The `count` names most like a pattern, its wildcards left out."""
    bare = pattern.replace("*", "").strip(".")

    def likeness(name: str) -> float:
        # A pattern spells part of a name, so compare it with every run of as many of the name's dotted parts.
        parts, width = name.split("."), bare.count(".") + 1
        windows = [".".join(parts[i : i + width]) for i in range(max(1, len(parts) - width + 1))]
        return max(difflib.SequenceMatcher(None, bare, w).ratio() for w in windows)

    return sorted(names, key=lambda n: (-likeness(n), n))[:count]
