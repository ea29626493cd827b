"""`asrlab serve` as a user starts and stops it, and the client in its document."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import urllib.request
import wave
from pathlib import Path
from typing import Any

import pytest
from talking import Running, pcm, words_of
from websockets.sync.client import connect

from asr_lab.errors import LabError, MissingPackageError
from asr_lab.serving.server import bind
from cli.serve import serve

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "live-page.md").read_text()
SERVER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from talking import LIMITS, RATE, TURN, Digesting
from asr_lab.serving.app import About, build_app
from asr_lab.serving.server import bind, serve, url_of
from asr_lab.serving.worker import Worker
with bind("127.0.0.1", 0) as listening:
    worker = Worker(Digesting(), RATE, TURN)
    app = build_app(worker, About("a_run", RATE, 100.0, 100.0), LIMITS, "127.0.0.1")
    serve(app, worker, listening, LIMITS, lambda: print(url_of(listening), flush=True))
print("stopped", flush=True)
"""


def test_ctrl_c_says_goodbye_to_clients_and_ends_without_a_complaint() -> None:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        assert json.load(urllib.request.urlopen(f"{url}model.json", timeout=30))["name"] == "a_run"
        with connect(url.replace("http", "ws") + "stream") as client:
            client.send('{"type": "hello", "sample_rate": 16000}')
            client.recv(timeout=30)
            running.send_signal(signal.SIGINT)
            with pytest.raises(Exception, match="1012"):
                client.recv(timeout=30)
        out, complaints = running.communicate(timeout=30)
    assert (running.returncode, out, complaints) == (0, "stopped\n", "")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    with pytest.raises(MissingPackageError, match=r"needs uvicorn; .*asr-lab\[serve\]"):
        serve()


def test_a_port_that_is_taken_is_an_error(server: Running) -> None:
    with pytest.raises(LabError, match=rf"cannot serve on 127.0.0.1 port {server.port}: .*in use"):
        bind("127.0.0.1", server.port)
    with pytest.raises(LabError, match="from 0 to 65535"):
        bind("127.0.0.1", 70_000)


def test_the_client_in_the_document_prints_the_words(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(data := pcm(1.0, seed=4))
    (script,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    monkeypatch.setattr(sys, "argv", ["transcribe.py", str(tmp_path / "sound.wav")])
    names: dict[str, Any] = {}
    exec(compile(script.replace(":8765", f":{server.port}"), "live-page.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == words_of(data)


def test_the_document_names_every_code_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "asr_lab" / "serving").glob("*.py"))
    codes = set(re.findall(r'ClientError\(\s*"([a-z_]+)"', sources))
    table = DOCUMENT.split("| code | when |")[1]
    assert (
        set(
            re.findall(
                r"`([a-z_]+)`",
                "".join(row.split("|")[1] for row in table.splitlines() if "`" in row and row.startswith("|")),
            )
        )
        == codes
    )
