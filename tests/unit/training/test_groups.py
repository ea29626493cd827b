"""Groups of parameters by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_lab.errors import LabError
from asr_lab.slots.optimizers import Group
from asr_lab.training.groups import nearest, parameter_groups


def net() -> nn.Module:
    layers = [nn.ModuleDict({"norm": nn.LayerNorm(4), "linear": nn.Linear(4, 4)}) for _ in range(2)]
    return nn.ModuleDict({"layers": nn.ModuleList(layers), "head": nn.Linear(4, 3)})


def test_every_parameter_is_in_exactly_one_group_and_the_first_match_takes_it() -> None:
    model = net()
    rules = [Group(match=("layers.0.*",), lr_scale=0.1), Group(match=("*.bias", "*norm*"), weight_decay=0.0)]
    groups = parameter_groups(model, rules, 0.3)
    names = {id(p): n for n, p in model.named_parameters()}
    found = [{names[id(p)] for p in g["params"]} for g in groups]
    assert found[0] == {n for n in names.values() if n.startswith("layers.0.")}
    assert found[1] == {"layers.1.norm.weight", "layers.1.norm.bias", "layers.1.linear.bias", "head.bias"}
    assert found[2] == {"layers.1.linear.weight", "head.weight"}
    assert [(g["weight_decay"], g["lr_scale"]) for g in groups] == [(0.3, 0.1), (0.0, 1.0), (0.3, 1.0)]


def test_frozen_parameters_are_in_no_group() -> None:
    model = net()
    for p in model["layers"].parameters():  # type: ignore[index]
        p.requires_grad_(False)
    groups = parameter_groups(model, [Group(match=("layers.*",), lr_scale=0.1)], 0.0)
    assert sum(len(g["params"]) for g in groups) == 2
    with pytest.raises(LabError, match="everything is frozen"):
        parameter_groups(model.requires_grad_(False), [], 0.0)


def test_a_pattern_without_effect_is_named_with_what_is_near() -> None:
    with pytest.raises(
        LabError, match=r"optimizer.group\[0\].match: '\*.lienar.weight' matches no .*layers.0.linear.w"
    ):
        parameter_groups(net(), [Group(match=("*.bias", "*.lienar.weight"))], 0.0)
    with pytest.raises(LabError, match=r"optimizer.group\[1\]: earlier groups took every"):
        parameter_groups(net(), [Group(match=("*",)), Group(match=("*.bias",))], 0.0)


def test_groups_can_be_made_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = net()
    assert len(parameter_groups(model, [Group(match=("*.bias",))], 0.0)) == 2


def test_near_names_share_a_part_with_the_pattern() -> None:
    names = ["encoder.layers.0.conv.weight", "encoder.layers.0.norm.bias", "heads.0.output.weight"]
    assert nearest("heads.0.ouput.*", names)[0] == "heads.0.output.weight"
    assert nearest("*.nrm.*", names)[0] == "encoder.layers.0.norm.bias"
