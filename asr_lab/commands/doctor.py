"""`asrlab doctor`: what this machine can do, and what would let it do more."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.compiler.inputs import data_root
from asr_lab.data.cache import cache_root
from asr_lab.devices import local_gpu, num_processors, visible_gpus
from asr_lab.runs.directory import runs_root

if TYPE_CHECKING:
    import torch

    from asr_lab.training.precision import PrecisionManager

LOAD_S = 120.0
"""Patience with a package that is loaded, in a process of its own."""
ANSWER_S = 20.0


@attrs.frozen
class Package:
    """An optional package."""

    name: str
    """On PyPI."""
    module: str
    """What is imported to load it."""
    unlocks: str
    """What a recipe or command can do with it."""
    install: str
    needs_gpu: bool = False
    """It is loaded on a machine with a GPU alone."""


NVCC = "needs nvcc"
PACKAGES = (
    Package("torchaudio", "torchaudio", "checks of features and alignments in the tests", "uv sync"),
    Package("torchao", "torchao", "precision fp8, mxfp8, nvfp4 without emulate", "uv sync --extra torchao"),
    Package(
        "transformer-engine",
        "torch, transformer_engine.pytorch",  # which finds its libraries by torch's
        'precision.backend = "transformer-engine"',
        f"uv sync --extra transformer-engine ({NVCC})",
        needs_gpu=True,
    ),
    Package("mamba-ssm", "mamba_ssm.ops.triton.ssd_combined", "Mamba-2's Triton scan", "uv sync --extra mamba", True),
    Package("causal-conv1d", "causal_conv1d", "its convolution", f"uv sync --extra cuda ({NVCC})", True),
    Package("flash-attn", "flash_attn", "FlashAttention-2", f"uv sync --extra flash ({NVCC})", True),
    Package("flash-attn-4", "flash_attn.cute", "FlashAttention-4", "uv pip install --no-deps flash-attn-4", True),
    Package(
        "repdl", "repdl", 'determinism.level = "cross_hardware" on GPUs', "built from its sources: docs/determinism.md"
    ),
    Package("pyarrow", "pyarrow", "datasets as parquet and saved ones", "uv sync --extra training"),
    Package("tensorboard", "tensorboard", 'log.listeners = ["tensorboard"]', "uv sync --extra training"),
    Package("wandb", "wandb", 'log.listeners = ["wandb"]', "uv sync --extra training"),
    Package("openai-whisper", "whisper", 'score.normalizer = { type = "english" }', "uv sync --extra scoring"),
    Package("espeakng-loader", "espeakng_loader", "the quickstart's synthetic speech", "uv sync --extra demo"),
    Package("sounddevice", "sounddevice", "transcribe --microphone", "uv sync --extra microphone"),
    Package("starlette", "starlette", "asrlab serve", "uv sync --extra serve"),
)


@attrs.frozen
class PackageState:
    """What became of loading one."""

    package: Package
    version: str
    """"" where it is not installed."""
    problem: str
    """Why it cannot be loaded; "" where it can, or was not tried."""
    is_tried: bool

    @property
    def word(self) -> str:
        """In a word."""
        if not self.version:
            return "absent"
        if not self.is_tried:
            return "not tried without a GPU"
        return "broken" if self.problem else "loads"


@attrs.frozen
class FolderState:
    """A folder that runs need."""

    what: str
    variable: str
    path: Path
    is_there: bool
    free_gb: float


@attrs.frozen
class Smoke:
    """A small step in a number format."""

    name: str
    outcome: str
    """`runs`, `emulated`, or why not."""


@attrs.frozen
class Checkup:
    """All that is found."""

    python: str
    system: str
    processors: int
    memory_gb: float
    torch: dict[str, Any]
    gpus: tuple[str, ...]
    packages: tuple[PackageState, ...]
    slurm: str
    storage: tuple[FolderState, ...]
    compiler: str
    """A C++ compiler, which `kernels.compile` needs."""
    steps: tuple[Smoke, ...]


def check_up() -> Checkup:
    """Look at this machine; packages are loaded in processes of their own, so that none can end this one."""
    gpu, names = local_gpu(), visible_gpus()
    packages = tuple(_state(package, gpu is not None) for package in PACKAGES)
    return Checkup(
        python=f"{platform.python_version()} ({sys.executable})",
        system=platform.platform(),
        processors=num_processors(),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        torch=_torch(),
        gpus=tuple([str(gpu)] * len(names)) if gpu is not None else names,
        packages=packages,
        slurm=slurm_state(),
        storage=tuple(_storage()),
        compiler=shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++") or "",
        steps=tuple(smoke_steps()),
    )


def _state(package: Package, has_gpu: bool) -> PackageState:
    try:
        version = importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        if package.name != "repdl":
            return PackageState(package, "", "", False)
        version = "built" if importlib.util.find_spec("repdl") is not None else ""
    if not version or (package.needs_gpu and not has_gpu):
        return PackageState(package, version, "", False)
    code, told = _run([sys.executable, "-c", f"import {package.module}"], LOAD_S)
    problem = "" if code == 0 else (told.strip().splitlines() or ["it ended without a word"])[-1][:300]
    return PackageState(package, version, problem, True)


def _torch() -> dict[str, Any]:
    import torch

    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "cuda_is_available": torch.cuda.is_available(),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def slurm_state() -> str:
    """A line on the SLURM that is here."""
    if shutil.which("sbatch") is None:
        return 'absent; asrlab run --dry-run prints what launch.type = "slurm" would submit'
    code, version = _run(["sinfo", "--version"], ANSWER_S)
    asked, partitions = _run(["sinfo", "-h", "-o", "%P %a, %D nodes"], ANSWER_S)
    if code or asked or not partitions.strip():
        return "installed, but no controller answers: sinfo says why"
    accounts, _ = _run(["sacct", "-n", "-X"], ANSWER_S)
    there = "; ".join(partitions.strip().splitlines())
    return f"{version.strip()}, {'with' if accounts == 0 else 'without'} accounting: {there}"


def _storage() -> list[FolderState]:
    places = (
        ("runs", "ASRLAB_RUNS", runs_root()),
        ("data", "ASRLAB_DATA", data_root()),
        ("cache", "ASRLAB_CACHE", cache_root()),
    )
    found = []
    for what, variable, path in places:
        there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        found.append(FolderState(what, variable, path, path.exists(), shutil.disk_usage(there).free / 1e9))
    return found


def smoke_steps() -> list[Smoke]:
    """A step of one linear layer's products in every format: on the GPU where there is one, else emulated here."""
    from asr_lab.errors import LabError
    from asr_lab.number_formats import FORMATS, LOW_PRECISIONS
    from asr_lab.training.precision import get_precision_manager

    found = []
    for name in FORMATS:
        emulate = False
        try:
            try:
                manager = get_precision_manager(name)
                manager.require(_device())
            except LabError:
                if name not in LOW_PRECISIONS:
                    raise
                emulate = True
                manager = get_precision_manager(name, emulate=True)
            _step(manager)
            found.append(Smoke(name, "emulated" if emulate else "runs"))
        except LabError as error:
            found.append(Smoke(name, str(error)))
    return found


def _device() -> torch.device:
    from asr_lab.devices import best_device

    return best_device()


def _step(manager: PrecisionManager) -> None:
    """Forward, backward and an update of a small model under a precision manager; LabError where it does not learn."""
    import torch

    from asr_lab.errors import LabError

    torch.manual_seed(0)
    device = _device()
    layer = manager.layer_for(torch.nn.Linear(128, 128).to(device))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    scaler = manager.scaler(device)
    x = torch.randn(128, 128, device=device)
    losses = []
    for _ in range(2):
        with manager.autocast(device):
            loss = (layer(x).float() - x).square().mean()
        with manager.rounding():
            (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is not None:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    if not losses[1] < losses[0]:
        raise LabError(f"a step does not lower the loss: {losses[0]:.4g}, then {losses[1]:.4g}")


def _run(command: Sequence[str], patience_s: float) -> tuple[int, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s)
    except (OSError, subprocess.SubprocessError) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


def checkup_json(found: Checkup) -> dict[str, Any]:
    """What `--json` prints."""
    content = attrs.asdict(found)
    content["packages"] = [
        {**attrs.asdict(one.package), "version": one.version, "state": one.word, "problem": one.problem}
        for one in found.packages
    ]
    content["storage"] = [{**attrs.asdict(one), "path": str(one.path)} for one in found.storage]
    return content
