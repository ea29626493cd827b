"""A model whose blocks are compiled one by one: a graph for blocks that are alike, whatever the lengths."""

from __future__ import annotations

import os
import shutil

import torch
import torch._dynamo
from torch import nn

from asr_lab.errors import LabError
from asr_lab.nn.attention_decoder.head import DecoderLayer
from asr_lab.nn.blocks import Macaron, Residual, Transformer

BLOCKS = (Macaron, Transformer, Residual, DecoderLayer)


def compile_blocks(model: nn.Module, backend: str = "inductor") -> int:
    """Have each block compiled when it first runs, with lengths and batch sizes left open; how many there are.

    No graph is broken: what Python decides by values is decided by shapes alone there. Copies of the model, as
    averaging keeps one, are not compiled.
    """
    torch._dynamo.config.specialize_int = True  # a context's frames are numbers: a graph for each of the few contexts
    blocks = [module for module in model.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.compile(fullgraph=True, dynamic=True, backend=backend)
    return len(blocks)


def require_compiler() -> None:
    """LabError where torch.compile would find no C++ compiler."""
    if shutil.which(os.environ.get("CXX", "g++")) is None and shutil.which("clang++") is None:
        raise LabError(
            "kernels.compile: no C++ compiler is here, which torch.compile needs: install g++ (Debian: apt-get install "
            "g++), or --set kernels.compile=false"
        )
