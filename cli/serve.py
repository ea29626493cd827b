"""`asrlab serve`: a page on this machine that transcribes as one talks."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from asr_lab.errors import MissingPackageError
from cli.options import Checkpoint, Run

if TYPE_CHECKING:
    import socket

    from asr_lab.commands.streaming_run import StreamingRun

PACKAGES = ("starlette", "uvicorn", "websockets")
UNCHUNKED_MS = 320.0
"""How much is decoded at once where the model needs no chunks."""
EXPOSED = (
    "whoever reaches {host} can use this page, and nothing is encrypted; browsers give microphones to https and "
    "localhost pages only. A tunnel is safer: ssh -L 8765:127.0.0.1:{port} THIS_MACHINE"
)

FEW_FILES = "the limit of open files (ulimit -n) leaves room for {n} connections at once"


def serve(
    run: Run = "",
    port: Annotated[int, typer.Option(metavar="N", help="The port to serve on; 0 = any free one.")] = 8765,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address to serve on; this machine alone by default.")
    ] = ("127.0.0.1"),
    chunk_ms: Annotated[
        float | None,
        typer.Option("--chunk-ms", metavar="N", help="Audio decoded at once; none = the shortest it was trained for."),
    ] = None,
    max_clients: Annotated[int, typer.Option("--max-clients", metavar="N", min=1, help="Streams at once.")] = 32,
    checkpoint: Checkpoint = "best",
) -> None:
    """Open a local page that transcribes the microphone or a recording while it plays.

    Example: asrlab serve speech_ssm --chunk-ms 320
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"the live page needs {', '.join(missing)}; install the extra: pip install 'asr-lab[serve]'"
        )
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    found = find_run(run, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr)
    from asr_lab.commands.streaming_run import streaming_run_of
    from asr_lab.serving.server import bind

    with bind(host, port) as listening:
        streaming = streaming_run_of(found, checkpoint, (), chunk_ms, max_clients)
        print("; ".join(streaming.notes), file=sys.stderr)
        _serve(found.name, streaming, listening, host, max_clients)
    print("stopped", file=sys.stderr)


def _serve(name: str, streaming: StreamingRun, listening: socket.socket, host: str, max_clients: int) -> None:
    from asr_lab.serving.app import About, build_app
    from asr_lab.serving.guard import is_loopback
    from asr_lab.serving.limits import ServingLimits
    from asr_lab.serving.server import limits_here, serve, url_of
    from asr_lab.serving.worker import Worker
    from asr_lab.units import ms_to_samples

    if not is_loopback(host):
        print(f"warning: {EXPOSED.format(host=host, port=listening.getsockname()[1])}", file=sys.stderr)
    rate, chunk_ms = streaming.sample_rate, streaming.chunk_ms or UNCHUNKED_MS
    delay_ms = streaming.recognizer.algorithmic_delay_ms
    about = About(name, rate, chunk_ms, delay_ms, "; ".join(streaming.notes[1:]))
    worker = Worker(streaming.recognizer, rate, ms_to_samples(chunk_ms, rate))
    wanted = ServingLimits(max_clients=max_clients)
    if (limits := limits_here(wanted)) != wanted:
        print(f"warning: {FEW_FILES.format(n=limits.max_connections)}", file=sys.stderr)
    app = build_app(worker, about, limits, host)
    serve(app, worker, listening, limits, lambda: print(f"open {url_of(listening)} (Ctrl-C stops)", flush=True))
