"""Debian's Chromium without a screen, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
START_S = 60.0


class Page:
    """A tab: what it shows, what its scripts say, and what went wrong in it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        """Exceptions, errors in the console, refused by its policy: all should be none."""
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One command's result; RuntimeError with the browser's words when it fails."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": arguments}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self._notice(message.get("method", ""), message.get("params", {}))

    def _notice(self, event: str, details: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            found = details["exceptionDetails"]
            self.complaints.append(found.get("exception", {}).get("description") or found["text"])
        elif event == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.complaints.append(details["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(details["args"]))

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, promises awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", expression))
        return answer["result"].get("value")

    def wait_for(self, condition: str, within_s: float = 20.0) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + within_s
        while not self.value(condition):
            if time.monotonic() > until:
                shown = self.value("document.body.innerText")
                raise TimeoutError(f"not within {within_s} s: {condition}\n{shown}\n{self.complaints}")
            time.sleep(0.05)

    def choose_file(self, selector: str, file: Path) -> None:
        """Give a file input a file, as a user does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Another size, and another taste."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """A screenshot, PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def chromium(folder: Path, microphone: Path) -> Iterator[Page]:
    """A fresh browser whose profile is in `folder` and whose microphone plays a WAV, over and over."""
    assert CHROMIUM is not None
    profile = folder / "profile"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--use-file-for-fake-audio-capture={microphone}"]
    with (folder / "chromium.log").open("wb") as log:
        browser = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log)
        try:
            with connect(_tab(profile, browser), max_size=None) as socket:
                yield Page(socket)
        finally:
            browser.terminate()
            try:
                browser.wait(20)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()


def _tab(profile: Path, browser: subprocess.Popen[bytes]) -> str:
    """The address of the first tab's DevTools, once the browser says which port it took."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and browser.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            port = int((profile / "DevToolsActivePort").read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise RuntimeError(f"{CHROMIUM} did not start (exit status {browser.poll()})")
