"""Every layer and decoder works with weights that lie in shards over processes, with the same outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from cases import cases
from ranks import run_ranks
from test_every_decoder import batch, head_of
from torch import Tensor, nn

from asr_lab.slots.decoders import Decoder
from asr_lab.training.parallel.group import Group


def trials() -> Iterator[tuple[str, Callable[[], nn.Module], Callable[[nn.Module], Tensor]]]:
    """A name, what builds the module, and its output; of each module with weights."""
    for case in cases():
        context = case.contexts[0]

        def output(layer: Any, case: Any = case, context: Any = context) -> Tensor:
            frames = case.utterances(case.layer(torch.float32), context, torch.float32)
            frames = frames.with_x(frames.valid())
            state = layer.initial_state(frames.batch, context)
            found: Tensor = layer(state, frames, context)[1].valid()
            return found

        yield case.name, lambda case=case: case.layer(torch.float32), output  # type: ignore[misc]
    for tag in Decoder.tags():
        frames, targets = batch(0.0)

        def loss(head: Any, frames: Any = frames, targets: Any = targets) -> Tensor:
            found: Tensor = head.loss(frames, targets)
            return found

        yield f"decoders/{tag}", lambda tag=tag: head_of(tag), loss  # type: ignore[misc]


def in_shards(group: Group) -> list[str]:
    """What differs from the module alone, in both ranks, which see the same input: gradients are summed."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    from asr_lab.training.parallel.shards import whole

    mesh, wrong = init_device_mesh("cpu", (group.world.size,)), []
    for name, build, output in trials():
        alone, sharded = build(), build()
        if not list(alone.parameters()):
            continue
        fully_shard(sharded, mesh=mesh)
        if name.startswith("decoders/"):
            register_fsdp_forward_method(sharded, "loss")
        try:
            results = []
            for module in (alone, sharded):
                found = output(module)
                found.square().sum().backward()
                results.append([found.detach(), *(p.grad for p in module.parameters())])
        except Exception as error:  # named, with all others
            wrong.append(f"{name}: {type(error).__name__}: {error}")
            continue
        for number, (one, other) in enumerate(zip(*results, strict=True)):
            both = None if other is None else whole(other)
            if (one is None) != (both is None) or (one is not None and not torch.allclose(one, both, 1e-4, 1e-5)):
                wrong.append(f"{name}: {'the output' if number == 0 else f'gradient {number}'} differs")
    return wrong


def test_every_layer_and_decoder_works_in_shards() -> None:
    assert len(list(trials())) > 20
    assert run_ranks(2, in_shards) == [[], []]
