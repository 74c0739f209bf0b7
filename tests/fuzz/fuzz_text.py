"""Texts made bad: numbers that are none, values of another kind, deep nests, aliases, encodings."""

import json
import random
import re
from typing import Any

_NUMBERS = (
    "nan", "NaN", "inf", "-inf", "-1", "0", "1e999", "-0.0", "1e-320", "9" * 400, "9" * 6000, "",
    "2147483648", "4294967296", "9223372036854775808", "1e308", "0x10", "1_000", "1,5", "\u0664",
    "100000", "65536", "true", "null", "~", ".nan", ".inf", "2026-99-99", "1:30", "!!int x",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, [], {}, "", 0, -1, 1 << 31, 1 << 63, 10**30, 10**400, 1e308, 0.5,
    float("nan"), float("inf"), "x" * 5000, "\x1b[31m\u202ered", "../../etc/passwd", "/dev/zero",
    "\0", [[]], [1, 2, 3], {"a": 1}, {"kind": "x"}, {"kind": []}, [None], "nan", "\ud800",
)  # fmt: skip
_DEEP = (lambda text: "[" * 6000, lambda text: '{"a":' * 3000, lambda text: text + "- " * 3000)
_LONG = (" ", "[", "(", "a", "<field ", "<Pixels ", '"', ",", "1", "\\", "- ", "#")
_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n"
    for before, name in zip("abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=True)
)
_MERGES = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [*{before}, *{before}]}}\n"
    for before, name in zip("abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=True)
)
_LINES = (
    "camera: &a [*a]", "camera: !!python/object/apply:os.system ['true']", "? [a]\n: b", "&a : *a",
    "<<: 3", "- 1", "%YAML 9.9", "---", "\t:", "? {a: b}\n: [c]", "!!set {a}", "!!binary x",
    "!!timestamp x", "1: 2", "null: 1", "[]: 1", "# \x07",
)  # fmt: skip


def damaged_text(content: bytes, rng: random.Random) -> bytes:
    """Return a text with words, lines or its encoding changed."""
    text = content.decode("utf-8", errors="replace")
    for _ in range(rng.choice([1, 1, 2, 4])):
        text = rng.choice(_WAYS)(text, rng)
    return _encoded(text, rng)


def _other_number(text: str, rng: random.Random) -> str:
    """Put something else in place of a number."""
    found = list(re.finditer(r"[-+.\deE]*\d[-+.\deE]*", text[:20_000]))
    if not found:
        return text
    place = rng.choice(found)
    return text[: place.start()] + rng.choice(_NUMBERS) + text[place.end() :]


def _other_word(text: str, rng: random.Random) -> str:
    """Misspell, empty, repeat or exchange a word."""
    found = list(re.finditer(r"\w+", text[:20_000]))
    if not found:
        return text
    place, other = rng.choice(found), rng.choice(found)
    word = rng.choice(["", place[0] * 2, place[0][:-1], other[0], place[0].upper(), "\u00e9", "\0"])
    return text[: place.start()] + word + text[place.end() :]


def _other_mark(text: str, rng: random.Random) -> str:
    """Exchange, lose or double a mark of the format."""
    found = list(re.finditer(r"[^\w\s]", text[:20_000]))
    if not found:
        return text
    place = rng.choice(found)
    mark = rng.choice(
        ["", place[0] * 2, ",", ";", ":", '"', "'", "[", "]", "{", "}", "\t", "<", ">"]
    )
    return text[: place.start()] + mark + text[place.end() :]


def _other_lines(text: str, rng: random.Random) -> str:
    """Lose, repeat, exchange or add lines."""
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    action = rng.randrange(4)
    if action == 0:
        del lines[at]
    elif action == 1:
        lines[at:at] = [lines[other]] * rng.choice([1, 2, 50])
    elif action == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines.insert(at, rng.choice(_LINES))
    return "\n".join(lines)


def _nest(text: str, rng: random.Random) -> str:
    """Put a bomb in: deep nests, long runs, aliases that stand for more than any memory holds."""
    if rng.random() < 0.7:
        return _other_mark(text, rng)
    if rng.random() < 0.02:  # takes without end where work grows with the square of a length
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice(_LONG) * 100_000 + text[at:]
    bomb = rng.choice([_LAUGHS, _MERGES, rng.choice(_DEEP)(text)])
    return rng.choice([bomb, f"{text}\n{bomb}", f"{bomb}\n{text}"])


_WAYS = (_other_number, _other_number, _other_number, _other_word, _other_mark, _other_lines, _nest)


def _encoded(text: str, rng: random.Random) -> bytes:
    """Return the text in UTF-8, now and then in another encoding."""
    encoding = rng.choice([*["utf-8"] * 12, "utf-16", "utf-32", "latin-1", "utf-8-sig", "cp500"])
    content = text.encode(encoding, errors="replace")
    return content.replace(b"\n", b"\r\n") if rng.random() < 0.05 else content


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON that is whole, but has other values, names or kinds at one or a few places."""
    root = json.loads(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        root = _changed(root, rng)
    return json.dumps(root, ensure_ascii=rng.random() < 0.9).encode("utf-8", errors="replace")


def _changed(root: Any, rng: random.Random) -> Any:
    """Change one value; return the whole."""
    places = list(_places(root, 0))
    if not places or rng.random() < 0.03:
        return rng.choice(_VALUES)
    inside, key = rng.choice(places)
    action = rng.random()
    if action < 0.7:
        inside[key] = rng.choice(_VALUES)
    elif action < 0.8:
        del inside[key]
    elif action < 0.9 and isinstance(inside, dict):
        inside[rng.choice(["", "x", key + " ", "\x1b", "kind"])] = inside.pop(key)
    else:
        other, of = rng.choice(places)
        inside[key] = json.loads(json.dumps(other[of]))  # a copy, else it might hold itself
    return root


def _places(node: Any, depth: int) -> Any:
    """Yield every value as the list or dict that holds it, with its name or number."""
    if depth > 20 or not isinstance(node, dict | list):
        return
    for key in list(node) if isinstance(node, dict) else range(min(len(node), 50)):
        yield node, key
        yield from _places(node[key], depth + 1)
