"""Build the CPU part of RepDL from a checkout of its sources: python -m …build_repdl CHECKOUT FOLDER.

Its own setup builds the CUDA part as well and fails without nvcc. FOLDER then holds a package `repdl` for PYTHONPATH.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from asr_lab.errors import LabError


def build(checkout: Path, folder: Path) -> Path:
    """The package's folder under `folder`; LabError where the checkout is none of RepDL's."""
    sources = sorted(checkout.glob("backend/cpu/*.cpp"))
    if not sources or not (checkout / "repdl" / "ops.py").is_file():
        raise LabError(f"{checkout} is no checkout of https://github.com/microsoft/RepDL (no backend/cpu/*.cpp)")
    from torch.utils import cpp_extension

    package = folder / "repdl"
    shutil.copytree(checkout / "repdl", package, dirs_exist_ok=True)
    backend, work = package / "backend", folder / "build"
    for made in (backend, work):
        made.mkdir(parents=True, exist_ok=True)
    flags = ["-O2", "-fopenmp"]
    cpp_extension.load(
        "cpu",
        [str(source) for source in sources],
        extra_cflags=flags,
        extra_ldflags=["-fopenmp"],
        build_directory=str(work),
        is_python_module=False,
        verbose=True,
    )
    shutil.copy2(work / "cpu.so", backend / "cpu.so")
    for name in ("__init__.py", "cuda.py"):  # the operators import both parts
        (backend / name).write_text("", encoding="utf-8")
    return package


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        print(build(Path(sys.argv[1]), Path(sys.argv[2])))
    except LabError as error:
        sys.exit(f"error: {error}")
