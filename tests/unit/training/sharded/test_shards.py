"""Files of pieces: every value comes back, whoever reads; damage and made-up headers are told, never followed."""

from __future__ import annotations

import json
import random
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cutting import cut, odd_tensors, rows, same_bits
from torch import Tensor

from asr_lab.errors import CheckpointError
from asr_lab.training.sharded.pieces import Box, TensorPiece
from asr_lab.training.sharded.shard_file import PIECES, shard_name, write_shard
from asr_lab.training.sharded.shards import open_shards
from asr_lab.training.sharded.together import own_share


def write(folder: Path, tensors: dict[str, Tensor], count: int, dim: int = 0) -> list[str]:
    """Files as `count` processes would write them."""
    cuts = {key: rows(tensor, count, dim) for key, tensor in tensors.items()}
    names = [shard_name(rank, count) for rank in range(count)]
    for rank, name in enumerate(names):
        write_shard(folder / name, own_share({key: pieces[rank] for key, pieces in cuts.items()}))
    return names


@pytest.mark.parametrize("written", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dim", [0, 1])
def test_any_number_of_readers_get_every_bit_of_every_type_and_shape(tmp_path: Path, written: int, dim: int) -> None:
    tensors = odd_tensors(written)
    with open_shards(tmp_path, write(tmp_path, tensors, written, dim)) as shards:
        assert shards.tensors.keys() == tensors.keys()
        for key, tensor in tensors.items():
            assert same_bits(shards.read(key), tensor), key
            for readers in (1, 2, 3, 5):
                for along in (0, 1):
                    for piece in rows(tensor, readers, along):
                        assert same_bits(shards.read(key, piece.box), piece.tensor), (key, piece.box)


def test_any_cut_and_any_box_give_the_values_that_belong_there(tmp_path: Path) -> None:
    draw = random.Random(7)
    for number in range(60):
        shape = [draw.randrange(0, 7) for _ in range(draw.randrange(1, 4))]
        whole = torch.randint(-1000, 1000, shape)
        edges = [sorted([0, side, *(draw.randint(0, side) for _ in range(draw.randrange(3)))]) for side in shape]
        pieces = cut(whole, edges)
        draw.shuffle(pieces)
        folder = tmp_path / str(number)
        folder.mkdir()
        names = [shard_name(rank, len(pieces)) for rank in range(len(pieces))]
        for name, piece in zip(names, pieces, strict=True):
            write_shard(folder / name, {"w": piece})
        with open_shards(folder, names) as shards:
            assert torch.equal(shards.read("w"), whole)
            for _ in range(5):
                spans = [sorted(draw.randint(0, side) for _ in range(2)) for side in shape]
                box = Box(tuple(a for a, _ in spans), tuple(b - a for a, b in spans))
                assert torch.equal(shards.read("w", box), whole[tuple(slice(a, b) for a, b in spans)])


def header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return dict(json.loads(data[8 : 8 + length]))


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change a file's header and what it says of its pieces, and keep its values."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    top = json.loads(data[8 : 8 + length])
    pieces = json.loads(top["__metadata__"][PIECES])
    change(top, pieces)
    top["__metadata__"] = {**top["__metadata__"], PIECES: json.dumps(pieces)}
    text = json.dumps(top).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


HUGE = 2**50
DAMAGE: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "a shape beyond the file": (lambda top, _: top["w"].update(shape=[HUGE, 3]), "not a safetensors file"),
    "a shape that overflows": (lambda top, _: top["w"].update(shape=[2**63, 2**63]), "not a safetensors file"),
    "data beyond the file": (lambda top, _: top["w"].update(data_offsets=[0, HUGE]), "not a safetensors file"),
    "a whole of many values": (lambda _, pieces: pieces["w"].update(shape=[HUGE, 3]), "not of one tensor"),
    "an offset outside": (lambda _, pieces: pieces["w"].update(offsets=[HUGE, 0]), "lies outside"),
    "an offset below": (lambda _, pieces: pieces["w"].update(offsets=[-1, 0]), "no shape and offsets"),
    "an offset on another": (lambda _, pieces: pieces["w"].update(offsets=[0, 0]), "overlap"),
    "fractions": (lambda _, pieces: pieces["w"].update(offsets=[2.0, 0]), "no shape and offsets"),
    "truth values": (lambda _, pieces: pieces["w"].update(offsets=[True, 0]), "no shape and offsets"),
    "more than 64 bits": (lambda _, pieces: pieces["w"].update(shape=[10**30, 3]), "no shape and offsets"),
    "fewer dimensions": (lambda _, pieces: pieces["w"].update(offsets=[2]), "no shape and offsets"),
    "other dimensions": (lambda _, pieces: pieces["w"].update(shape=[12], offsets=[6]), "lies outside"),
    "no shape": (lambda _, pieces: pieces["w"].pop("shape"), "no shape and offsets"),
    "a text": (lambda _, pieces: pieces.update(w="2"), "no shape and offsets"),
    "another type": (lambda top, _: top["w"].update(dtype="I32"), "not of one tensor"),
    "no piece": (lambda _, pieces: pieces.pop("w"), "describes"),
    "a piece too many": (lambda _, pieces: pieces.update(x=pieces["w"]), "describes"),
    "no pieces": (lambda top, _: top["__metadata__"].clear(), ""),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_a_header_makes_up_is_told(tmp_path: Path, case: str) -> None:
    change, told = DAMAGE[case]
    names = write(tmp_path, {"w": torch.arange(12.0).reshape(4, 3)}, 2)
    rewrite(tmp_path / names[1], change)
    if case == "no pieces":
        rewrite_raw(tmp_path / names[1], {"__metadata__": {}})
        told = "does not say what its pieces are"
    with pytest.raises(CheckpointError, match=told), open_shards(tmp_path, names):
        pass


def rewrite_raw(path: Path, change: dict[str, Any]) -> None:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    text = json.dumps({**json.loads(data[8 : 8 + length]), **change}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "3", "null", '{"w": ' + "[" * 100_000, "9" * 10_000])
def test_metadata_that_is_no_object_is_told(tmp_path: Path, text: str) -> None:
    names = write(tmp_path, {"w": torch.zeros(4)}, 1)
    rewrite_raw(tmp_path / names[0], {"__metadata__": {PIECES: text}})
    with pytest.raises(CheckpointError, match="does not say what its pieces are"), open_shards(tmp_path, names):
        pass


def test_a_tensor_of_no_values_and_endless_sides_costs_nothing(tmp_path: Path) -> None:
    names = write(tmp_path, {"w": torch.zeros(0, 1, 1)}, 1)

    def stretch(top: dict[str, Any], pieces: dict[str, Any]) -> None:
        top["w"]["shape"] = [0, 2**62, 8]
        pieces["w"]["shape"] = [0, 2**62, 8]

    rewrite(tmp_path / names[0], stretch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError), open_shards(tmp_path, names) as shards:
        shards.read("w")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_random_bytes_in_a_header_cause_no_other_error(tmp_path: Path) -> None:
    names = write(tmp_path, {"w": torch.arange(12.0).reshape(4, 3), "n": torch.tensor(3)}, 2)
    path, draw = tmp_path / names[0], random.Random(3)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    told = 0
    for _ in range(1500):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 3))):
            changed[draw.randrange(8 + length)] = draw.choice(b'0129[]{},:"-xw\x00\xff')
        path.write_bytes(changed)
        try:
            with open_shards(tmp_path, names) as shards:
                for key in shards.tensors:
                    shards.read(key)
        except CheckpointError:
            told += 1
    assert told > 1000


def test_a_box_outside_is_refused(tmp_path: Path) -> None:
    names = write(tmp_path, {"w": torch.zeros(4, 3)}, 2)
    with open_shards(tmp_path, names) as shards, pytest.raises(CheckpointError, match="lies outside"):
        shards.read("w", Box((3, 0), (2, 3)))


def test_names_out_of_a_file_are_short_and_escaped(tmp_path: Path) -> None:
    piece = TensorPiece(torch.zeros(2), (4,), (0,))
    write_shard(tmp_path / shard_name(0, 1), {"\x1b[2J" + "n" * 5000: piece})
    with pytest.raises(CheckpointError) as caught, open_shards(tmp_path, [shard_name(0, 1)]):
        pass
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600
