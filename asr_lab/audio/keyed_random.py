"""Random draws that depend on nothing but keys: the same on every machine, in every order, in every process."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def text_key(text: str) -> int:
    """A 64-bit key of a text (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def mix(keys: Keys | int, *salts: int) -> Keys:
    """Each key with the salts stirred in, uint64; the finaliser is splitmix64's (Steele et al., OOPSLA 2014)."""
    mixed = np.atleast_1d(np.asarray(keys, dtype=np.uint64))
    with np.errstate(over="ignore"):
        for salt in (*salts, 0):
            mixed = mixed + np.uint64((salt * _GOLDEN + _GOLDEN) & _MASK)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def mixed(key: int, *salts: int) -> int:
    """`mix` of one key, in plain integers: a single number needs no array."""
    for salt in (*salts, 0):
        key = (key + salt * _GOLDEN + _GOLDEN) & _MASK
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
        key ^= key >> 31
    return key


def uniform(keys: Keys) -> NDArray[np.float64]:
    """One number in [0, 1) for each key."""
    return (mix(keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def fraction(key: int) -> float:
    """`uniform` of one key."""
    return (mixed(key) >> 11) * 2.0**-53


def generator(key: int, salt: int = 0) -> np.random.Generator:
    """A generator of its own for a 64-bit key (Philox, Salmon et al., SC 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([key, salt], dtype=np.uint64)))
