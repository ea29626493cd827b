"""What the server hands to a browser: its own files, nothing inline, nothing from elsewhere."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import pytest
from talking import LIMITS, Running

from asr_lab.serving.app import STATIC
from asr_lab.serving.guard import Guard, host_name, page_policy, same_origin

PAGE = (STATIC / "index.html").read_text()


def get(server: Running, path: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def test_every_file_of_the_page_is_served_as_it_is_and_nothing_else(server: Running) -> None:
    for file in STATIC.iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        status, headers, body = get(server, path)
        assert (status, body) == (200, file.read_bytes())
        assert headers["content-security-policy"] == page_policy(f"127.0.0.1:{server.port}")
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/index.html", "/../app.py", "/%2e%2e/app.py", "/static/page.js", "/favicon.ico"):
        assert get(server, path)[0] == 404


def test_the_page_knows_what_it_talks_to(server: Running) -> None:
    about = json.loads(get(server, "/model.json")[2])
    assert about["name"] == "a_run"
    assert (about["sample_rate"], about["chunk_ms"], about["max_stream_s"]) == (16000, 100.0, 3600.0)


def test_a_name_that_is_not_the_servers_is_refused(server: Running) -> None:
    assert get(server, "/model.json", host="evil.example")[0] == 403
    assert get(server, "/model.json", host="localhost:1")[0] == 200


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = page_policy("127.0.0.1:8765")
    assert "unsafe" not in policy
    assert set(re.findall(r"\S+://\S+", policy.replace(";", " "))) == {"ws://127.0.0.1:8765", "wss://127.0.0.1:8765"}
    assert policy.startswith("default-src 'none'")


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert re.findall(r"<script(?![^>]*src=)", PAGE) == []
    assert re.findall(r"\s(?:style|on\w+)=", PAGE) == []
    named = set(re.findall(r'(?:src|href)="([^"]+)"', PAGE))
    named |= {n for f in STATIC.glob("*.js") for n in re.findall(r'(?:from|addModule\() ?"([^"]+)"', f.read_text())}
    assert named == {f"/{f.name}" for f in STATIC.iterdir()} - {"/index.html"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8765", "localhost"),
        ("LOCALHOST", "localhost"),
        ("[::1]:8765", "::1"),
        ("[::1]", "::1"),
        ("192.168.1.2:80", "192.168.1.2"),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example"),
    ],
)
def test_a_hosts_name_is_read_without_its_port(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header",
    [
        *("", " localhost", "localhost ", "localhost:", "localhost:0", "localhost:65536", "localhost:8765:1", ":8765"),
        *("localhost:+80", "localhost:８０", "localhost.", ".localhost", "local host", "localhost/", "localhost#@x"),
        *("user@localhost", "http://localhost", "localhost, evil.example", "localhost:1; script-src *"),
        *("::1", "[::1", "::1]", "[]", "[localhost]", "[127.0.0.1]", "[::1]8765", "[::1]x:1", "[::1%25lo]", "[:::::]"),
        *("localhost\x00", "localhost\t", "ｌocalhost", "localhost:1\r\nx: y"),
    ],
)
def test_a_malformed_host_names_nothing(header: str) -> None:
    assert host_name(header) is None
    assert not Guard(None, "0.0.0.0", LIMITS).knows(header)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "localhost.evil.example", "0"])
def test_other_spellings_of_an_address_are_names_and_not_known(name: str) -> None:
    assert not Guard(None, "0.0.0.0", LIMITS).knows(f"{name}:8765")  # type: ignore[arg-type]


def test_bound_to_all_addresses_only_figures_and_this_machines_name_are_known() -> None:
    guard = Guard(None, "0.0.0.0", LIMITS)  # type: ignore[arg-type]
    assert guard.knows("192.168.1.2:8765")
    assert guard.knows("[fe80::1]:8765")
    assert not guard.knows("rebound.example:8765")
    one = Guard(None, "192.168.1.2", LIMITS)  # type: ignore[arg-type]
    assert one.knows("192.168.1.2:8765")
    assert not one.knows("192.168.1.3:8765")


def test_an_origin_is_the_same_with_its_port_or_not_at_all() -> None:
    assert same_origin("http://localhost:8765", "localhost:8765")
    assert same_origin("https://asr.example", "asr.example")
    assert not same_origin("http://localhost:8766", "localhost:8765")
    assert not same_origin("file://localhost:8765", "localhost:8765")
    assert not same_origin("http://localhost:8765.evil.example", "localhost:8765")
