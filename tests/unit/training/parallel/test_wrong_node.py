"""Processes that are sent to a node that is none."""

from __future__ import annotations

import pytest
import torch

from asr_lab.errors import RunError
from asr_lab.training.parallel.group import open_group
from asr_lab.training.parallel.world import World


def test_a_node_that_no_name_server_knows_is_named() -> None:
    world = World(rank=1, size=2, host="no-such-node.invalid", port=29_400)
    told = r"the 2 processes did not all come to no-such-node\.invalid:29400 within 1 s \(parallel\.timeout_s\): "
    with pytest.raises(RunError, match=told), open_group(world, torch.device("cpu"), 1.0):
        pass
