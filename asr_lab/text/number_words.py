"""English numbers in words made digits, by the rules of Whisper's normaliser (Radford et al., 2022, appendix C).

`two hundred and sixty dollars` to `$260`, `nineteen fifties` to `1950s`, `nine double one` to `911`. What is odd in
those rules is kept, since scores made under them hold it: `one` stands as a word at the end, `0` before `oh` is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

MAX_DIGITS = 1000
"""A longer run of digits is a word like another: Python refuses to spell a number of 4,300."""

_SMALL = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
ZEROS = frozenset(("o", "oh", "zero"))
ONES = {word: n for n, word in enumerate(_SMALL.split(), start=1)}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TENS = {word: 10 * n for n, word in enumerate(_TENS, start=2)}
_POWERS = (
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
)
MULTIPLIERS = {"hundred": 100, **{word: 1000**n for n, word in enumerate(_POWERS.split(), start=1)}}

_IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "twelve": "twelfth"}
_ENDINGS = {"one": "st", "two": "nd", "three": "rd"}


def _ordinal(word: str) -> str:
    return _IRREGULAR.get(word) or word + ("h" if word.endswith("t") else "th")


Suffixed = dict[str, tuple[int, str]]
ONES_SUFFIXED: Suffixed = {
    **{"sixes" if word == "six" else f"{word}s": (n, "s") for word, n in ONES.items()},
    "zeroth": (0, "th"),
    **{_ordinal(word): (n, _ENDINGS.get(word, "th")) for word, n in ONES.items()},
}
TENS_SUFFIXED: Suffixed = {
    **{f"{word[:-1]}ies": (n, "s") for word, n in TENS.items()},
    **{f"{word[:-1]}ieth": (n, "th") for word, n in TENS.items()},
}
MULTIPLIERS_SUFFIXED: Suffixed = {
    **{f"{word}s": (n, "s") for word, n in MULTIPLIERS.items()},
    **{f"{word}th": (n, "th") for word, n in MULTIPLIERS.items()},
}
SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
CURRENCIES = {
    **dict.fromkeys(("pound", "pounds"), "£"),
    **dict.fromkeys(("euro", "euros"), "€"),
    **dict.fromkeys(("dollar", "dollars"), "$"),
    **dict.fromkeys(("cent", "cents"), "¢"),
}
PREFIXES = frozenset((*SIGNS.values(), *CURRENCIES.values()))
PERCENT = frozenset(("per", "percent"))
LINKS = frozenset(("and", "double", "triple", "point"))
DECIMALS = frozenset((*ONES, *TENS, *ZEROS))
_TABLES = (ONES, ONES_SUFFIXED, TENS, TENS_SUFFIXED, MULTIPLIERS, MULTIPLIERS_SUFFIXED, SIGNS, CURRENCIES)
WORDS = frozenset((*ZEROS, *PERCENT, *LINKS, *(word for table in _TABLES for word in table)))
"""Every word that may be part of a number."""

_NUMBER = re.compile(r"\d+(\.\d+)?")
_HALF = re.compile(r"\band\s+a\s+half\b")


def numbers_to_digits(text: str) -> str:
    """A lower-cased text with its numbers in digits, signs and currencies before them."""
    words = _parted(_with_halves(text)).split()
    return _as_amounts(" ".join(_Reading(words).read()))


def _with_halves(text: str) -> str:
    """`three and a half million` to `three point five million`."""
    *halved, last = _HALF.split(text)
    pieces = []
    for piece in halved:
        if piece.strip():
            word = piece.split()[-1]
            pieces += [piece, "point five" if word in DECIMALS or word in MULTIPLIERS else "and a half"]
    return " ".join([*pieces, *([last] if last.strip() else [])])


def _parted(text: str) -> str:
    """Numbers and letters parted, but for the endings of ordinals and decades."""
    text = re.sub(r"([a-z])([0-9])", r"\1 \2", text)
    text = re.sub(r"([0-9])([a-z])", r"\1 \2", text)
    return re.sub(r"([0-9])\s+(st|nd|rd|th|s)\b", r"\1\2", text)


def _as_amounts(text: str) -> str:
    """`$2 and ¢7` to `$2.07`, `$0.36` to `¢36`, and a lone 1 as a word."""
    text = re.sub(r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b", lambda m: f"{m[1]}{m[2]}.{int(m[3]):02d}", text)
    text = re.sub(r"[€£$]0.([0-9]{1,2})\b", lambda m: f"¢{int(m[1])}", text)
    return re.sub(r"\b1(s?)\b", r"one\1", text)


class _Reading:
    """The words of a text, read from left to right; `value` is the number that is being put together.

    A number whose digits are strung together (`nine one one`, `3.`) is text, one that is added up an int.
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.prefix = ""
        self.value: int | str | None = None
        self.before: str | None = None
        self.after: str | None = None
        self.skips_next = False

    def read(self) -> Iterator[str]:
        """The text's words, each number one of them."""
        for i, word in enumerate(self.words):
            self.before = self.words[i - 1] if i else None
            self.after = self.words[i + 1] if i + 1 < len(self.words) else None
            if self.skips_next:
                self.skips_next = False
            else:
                yield from self._word(word)
        yield from self._end()

    def _word(self, word: str) -> Iterator[str]:
        bare = word[1:] if word[0] in PREFIXES else word
        if _NUMBER.fullmatch(bare) and len(bare) <= MAX_DIGITS:
            yield from self._digits(word, bare)
        elif word not in WORDS:
            yield from self._end()
            yield self._emit(word)
        elif word in ZEROS:
            self.value = str(self.value or "") + "0"
        elif word in ONES:
            self.value = self._with_ones(ONES[word])
        elif word in TENS:
            self.value = self._with_tens(TENS[word])
        elif word in ONES_SUFFIXED:
            number, suffix = ONES_SUFFIXED[word]
            yield self._emit(f"{self._with_ones(number)}{suffix}")
        elif word in TENS_SUFFIXED:
            number, suffix = TENS_SUFFIXED[word]
            yield self._emit(f"{self._with_tens(number)}{suffix}")
        elif word in MULTIPLIERS:
            if (product := self._times(MULTIPLIERS[word])) is None:
                yield from self._end()
                product = MULTIPLIERS[word]
            self.value = product
        elif word in MULTIPLIERS_SUFFIXED:
            yield from self._multiplier_suffixed(*MULTIPLIERS_SUFFIXED[word])
        else:
            yield from self._no_number(word)

    def _no_number(self, word: str) -> Iterator[str]:
        if word in SIGNS:
            yield from self._end()
            if self._number_follows:
                self.prefix = SIGNS[word]
            else:
                yield self._emit(word)
        elif word in CURRENCIES:
            if self.value is not None:
                self.prefix = CURRENCIES[word]
                yield self._emit(self.value)
            else:
                yield self._emit(word)
        elif word in PERCENT:
            yield from self._percent(word)
        else:
            yield from self._link(word)

    def _digits(self, word: str, bare: str) -> Iterator[str]:
        if isinstance(self.value, str) and self.value.endswith("."):
            self.value += word
            return
        yield from self._end()
        if bare != word:
            self.prefix = word[0]
        number = Fraction(bare)
        self.value = number.numerator if number.denominator == 1 else bare

    def _with_ones(self, number: int) -> int | str:
        value = self.value
        if value is None:
            return number
        if isinstance(value, str) or self.before in ONES:
            if self.before in TENS and number < 10:
                return str(value)[:-1] + str(number)
            return f"{value}{number}"
        return value + number if value % (10 if number < 10 else 100) == 0 else f"{value}{number}"

    def _with_tens(self, number: int) -> int | str:
        value = self.value
        if value is None:
            return number
        return value + number if isinstance(value, int) and value % 100 == 0 else f"{value}{number}"

    def _times(self, multiplier: int) -> int | None:
        """The number times `multiplier`, of an added one its last three digits alone; None where that is not whole."""
        value = self.value
        if value is None:
            return multiplier
        if isinstance(value, int):
            return value // 1000 * 1000 + value % 1000 * multiplier
        try:
            product = Fraction(value) * multiplier
        except ValueError:
            return None
        return product.numerator if product.denominator == 1 else None

    def _multiplier_suffixed(self, multiplier: int, suffix: str) -> Iterator[str]:
        if (product := self._times(multiplier)) is None:
            yield from self._end()
            product = multiplier
        yield self._emit(f"{product}{suffix}")

    def _percent(self, word: str) -> Iterator[str]:
        if self.value is None:
            yield self._emit(word)
        elif word == "percent":
            yield self._emit(f"{self.value}%")
        elif self.after == "cent":
            yield self._emit(f"{self.value}%")
            self.skips_next = True
        else:
            yield from self._end()
            yield self._emit(word)

    def _link(self, word: str) -> Iterator[str]:
        if not self._number_follows:
            yield from self._end()
            yield self._emit(word)
        elif word == "and":
            if self.before not in MULTIPLIERS:
                yield from self._end()
                yield self._emit(word)
        elif word == "point":
            if self.after in DECIMALS or self._digits_follow:
                self.value = str(self.value or "") + "."
        elif self.after in ONES or self.after in ZEROS:
            digit = str(ONES.get(self.after, 0))
            self.value = str(self.value or "") + digit * (2 if word == "double" else 3)
            self.skips_next = True
        else:
            yield from self._end()
            yield self._emit(word)

    @property
    def _digits_follow(self) -> bool:
        return self.after is not None and _NUMBER.fullmatch(self.after) is not None

    @property
    def _number_follows(self) -> bool:
        return self.after in WORDS or self._digits_follow

    def _end(self) -> Iterator[str]:
        """The number so far, where there is one."""
        if self.value is not None:
            yield self._emit(self.value)

    def _emit(self, result: int | str) -> str:
        text = f"{self.prefix}{result}"
        self.prefix, self.value = "", None
        return text
