"""Recipes damaged in structure, text, `--set` and numbers, under the commands that read them."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomli
from outcomes import Case, judged, told_by
from small_run import SmallRun

from asr_lab.config.words import toml

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "recipes").rglob("*.toml"))
ODD: tuple[Any, ...] = (
    "", "x", "none", "whole", "attention", "*", "!", "é\u0301", "\x00", "\x1b[31m", "\u202e", "n" * 300,
    "a/../b", "type",
    True, False, 0, 1, -1, 2, 3, 7, 255, 65_536, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400,
    0.0, -0.0, 0.5, 1.5, 1e-308, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 4.0, 1000.0,
    [], {}, [[]], [{}], {"type": "x"}, {"type": 1}, {"tpye": "ctc"}, {"a": {"b": {"c": 1}}}, [1, "x", 2.0],
    ["a"] * 2000,
)  # fmt: skip
"""Values that stand where others were meant."""
BYTES = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\x1b]0;x\x07",
    b"[", b"]",
    b"]]",     b"{", b"}", b'"', b'"""', b"'", b"'''", b"#", b"=", b".", b",", b"\\", b"\\u0000", b"\\ud800",
    b"1979-05-27T07:32:00Z", b"0x",
    b"nan", b"inf", b"1_0", b"[[a]]\n", b"[encoder]\n", b"a.b.c = 1\n", b'"" = 1\n', b"\n" * 50, b" " * 300,
)  # fmt: skip
LARGE = (
    lambda rng: b"k" * 1_000_000 + b" = 1\n",
    lambda rng: b'"' + b"k" * 200_000 + b'" = 1\n',
    lambda rng: b"x = " + b"[" * rng.choice([40, 500, 20_000]) + b"\n",
    lambda rng: b"x = " + b"[" * 60 + b"]" * 60 + b"\n",
    lambda rng: b"x = " + b"{a=" * 60 + b"1" + b"}" * 60 + b"\n",
    lambda rng: b".".join([b"a"] * rng.choice([50, 50_000])) + b" = 1\n",
    lambda rng: b"".join(b"unknown_key_%d = 1\n" % i for i in range(8000)),
    lambda rng: b"x = " + b"9" * rng.choice([400, 5000, 100_000]) + b"\n",
    lambda rng: b"x = [" + b"1," * 100_000 + b"]\n",
    lambda rng: b"[[data.train]]\ntype = 'folder'\npath = 'p'\n" * 5000,
)
"""Lines that cost time or memory to read."""


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of plain data: what holds it, and its key."""
    for key, one in list(data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()):
        yield data, key
        yield from places(one)


def structure(data: dict[str, Any], rng: random.Random) -> None:
    """Delete, replace, rename, move, copy, wrap or repeat one thing."""
    found = list(places(data))
    if not found:
        return
    holder, key = rng.choice(found)
    value = holder[key]
    match rng.choice(["delete", "odd", "odd", "odd", "rename", "move", "wrap", "copy", "repeat"]):
        case "delete":
            del holder[key]
        case "odd":
            holder[key] = copy.deepcopy(rng.choice(ODD))
        case "rename" if isinstance(holder, dict):
            name = rng.choice(
                [f"{key}x", str(key)[:-1], str(key).upper(), f"{key} ", "é", "", "type", "a.b", "x" * 300]
            )
            holder[name] = holder.pop(key)
        case "move" | "copy":
            other, place = rng.choice(found)
            other[place] = copy.deepcopy(value) if rng.random() < 0.5 else value if not _holds(value, other) else 1
        case "wrap":
            holder[key] = rng.choice([[value], {"type": value}, {"x": value}, [[value]]])
        case "repeat" if isinstance(value, list):
            holder[key] = copy.deepcopy(value) * rng.choice([2, 40, 1100])


def numbers(data: dict[str, Any], rng: random.Random) -> None:
    """A number at another size."""
    found = [(h, k) for h, k in places(data) if isinstance(h[k], int | float) and not isinstance(h[k], bool)]
    for holder, key in rng.sample(found, min(len(found), rng.randint(1, 3))):
        old = holder[key]
        near = old if abs(old) < 1e300 else 0
        holder[key] = rng.choice(
            [-old, old * 1000, old * 10**6, old + 1, near / 2, float(near),
             rng.randint(1, 70_000), rng.choice([v for v in ODD if isinstance(v, int | float)])]
        )  # fmt: skip


def _holds(value: Any, place: Any) -> bool:
    return value is place or any(h is place or h[k] is place for h, k in places(value))


def spelled(data: dict[str, Any]) -> bytes:
    """Plain data as TOML, a key a line; with what TOML cannot say as it comes."""
    return "".join(f"{json.dumps(k)} = {_value(v)}\n" for k, v in data.items()).encode("utf-8", "surrogatepass")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else toml(value)


def text(content: bytes, rng: random.Random) -> bytes:
    """Bytes put in, taken out, or cut off; lines swapped; a large line."""
    at = rng.randrange(len(content) + 1)
    lines = content.splitlines(keepends=True)
    match rng.choice(
        ["insert", "insert", "insert", "flip", "cut", "remove", "crlf", "bom", "lines", "large", "double"]
    ):
        case "insert":
            return content[:at] + rng.choice(BYTES) + content[at:]
        case "flip":
            return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "remove":
            return content[:at] + content[at + rng.randint(1, 30) :]
        case "crlf":
            return content.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n"]))
        case "bom":
            return rng.choice(
                [b"\xef\xbb\xbf" + content, content.decode().encode("utf-16"), content.decode().encode("utf-32")]
            )
        case "lines":
            rng.shuffle(lines)
            return b"".join(lines)
        case "large":
            line = rng.choice(LARGE)(rng)
            return line + content if rng.random() < 0.5 else content + b"\n" + line
    return content + content


def overrides(data: dict[str, Any], rng: random.Random) -> list[str]:
    """`--set` of keys that are there, and of others."""
    paths = list(_paths(data))
    found = []
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(paths)
        path = rng.choice(
            [path] * 6 + [path + "x", path + ".a", path + "[0]", path + "[999999]", "", ".", path.replace(".", "..")]
        )
        value = rng.choice(
            [
                "",
                "none",
                "[",
                "{",
                "1,2",
                "x y",
                "'",
                '"""',
                "\x00",
                "1e999",
                "[1]]",
                "{a=1}",
                *(_value(v) for v in ODD[:-1]),
            ]
        )
        found.append(rng.choice([f"{path}={value}"] * 9 + [path]))
    return found


def _paths(data: Any, path: str = "") -> Iterator[str]:
    for key, one in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        here = f"{path}[{key}]" if isinstance(data, list) else f"{path}.{key}" if path else str(key)
        yield here
        yield from _paths(one, here)


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Damage a shipped recipe, and give it to `check`, `diff`, `explain` or `run`."""
    file = small.folder / "damaged.toml"
    for index in range(first, first + number):
        rng = random.Random(f"{seed} recipes {index}")
        source = rng.choice([*SHIPPED, small.recipe])
        data, sets = tomli.loads(source.read_text(encoding="utf-8")), []
        kind = rng.choice(["structure", "structure", "numbers", "text", "set"])
        content = source.read_bytes()
        if kind in ("structure", "numbers"):
            for _ in range(rng.randint(1, 3)):
                (structure if kind == "structure" else numbers)(data, rng)
            content = spelled(data)
        elif kind == "text":
            content = text(content, rng)
        else:
            sets = overrides(data, rng)
        file.write_bytes(content)
        command = rng.choice(["check"] * 30 + ["diff"] * 8 + ["explain"] * 2)
        words = {
            "check": ["check", str(file)],
            "explain": ["explain", str(file)],
            "diff": ["diff", str(file), str(source)],
        }[command]
        if command != "diff":
            words += [w for one in sets for w in ("--set", one)]
        yield judged(f"{index}: {kind} of {source.name}, asrlab {' '.join(words)[:300]}", _command(words, file))


def _command(words: list[str], file: Path) -> Callable[[], str]:
    def give() -> str:
        code, error = told_by(words)
        return code or _misplaced(error, file)

    return give


def _misplaced(error: BaseException | None, file: Path) -> str:
    """What is wrong with the lines that an error names: each holds a key of its path, where the last is written."""
    lines = file.read_bytes().decode("utf-8-sig", "replace").split("\n")
    for found in re.finditer(rf"^  {re.escape(str(file))}:(\d+)\S* +(\S+?): (.*)$", str(error), re.MULTILINE):
        number, path, message = int(found[1]), found[2], found[3]
        if number > len(lines):
            return f"line {number} of {len(lines)}: {path}"
        keys = [key for key in re.findall(r"[A-Za-z0-9_-]+", path) if not key.isdecimal()]
        is_written = keys and keys[-1] in "\n".join(lines) and path != "not" and not message.startswith("missing")
        if is_written and not any(key in lines[number - 1] for key in keys):
            return f"line {number} holds none of {keys}: {message[:200]}"
    return ""
