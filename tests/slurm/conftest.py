"""A SLURM for the tests of this folder."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster, why_not
from slurm_lab import Lab, lay_folder


@pytest.fixture(scope="session", params=[False, True], ids=["without accounting", "with accounting"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A SLURM; the tests are skipped where it cannot be started."""
    if (reason := why_not(request.param)) is not None:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:  # pytest's own is closed to the database's user
        cluster = Cluster(Path(folder), request.param)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def folder(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a recipe for jobs, once for each cluster: a run of one is finished for no other."""
    return lay_folder(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def lab(cluster: Cluster, folder: Path) -> Iterator[Lab]:
    """A user of the cluster; whatever it has running is ended."""
    yield Lab(cluster, folder)
    cluster.output("scancel", "--user=root", "--signal=KILL", "--full")
    cluster.output("scancel", "--user=root")
    deadline = time.monotonic() + 60
    while cluster.output("squeue", "-h") and time.monotonic() < deadline:
        time.sleep(0.2)
