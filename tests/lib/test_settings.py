"""Settings are built from plain content, and what is wrong with it is named."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.settings import in_words, read_settings, settings_from


@dataclass(frozen=True, kw_only=True)
class Inner:
    box_px: int = 7
    sigma_px: float | None = None

    def __post_init__(self) -> None:
        if self.box_px < 3:
            raise SettingsError(f"box_px must be 3 or more, got {self.box_px}")


@dataclass(frozen=True, kw_only=True)
class Round:
    kind: Literal["round"] = "round"
    radius_nm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"] = "square"
    side_nm: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    method: Literal["a", "b"] = "a"
    inner: Inner = field(default_factory=Inner)
    keep: str = ""
    is_on: bool = True
    tune: Literal["grain"] | None = None
    boxes: tuple[Inner, ...] = ()
    widths_nm: tuple[float, ...] = (1.0,)
    limits: tuple[int, float] = (1, 2.0)
    shape: Round | Square | None = field(default_factory=Round)


def test_what_is_not_named_keeps_its_default() -> None:
    assert settings_from(Outer, {}) == Outer()
    built = settings_from(Outer, {"inner": {"sigma_px": 1}, "method": "b", "is_on": False})
    assert built == Outer(method="b", inner=Inner(sigma_px=1.0), is_on=False)
    assert isinstance(built.inner.sigma_px, float)
    assert settings_from(Outer, {"inner": {"sigma_px": None}}) == Outer()
    assert settings_from(Outer, {"tune": "grain"}).tune == "grain"


def test_lists_become_tuples_of_their_settings() -> None:
    content = {"boxes": [{"box_px": 9}, {}], "widths_nm": [1, 2.5], "limits": [3, 4]}
    built = settings_from(Outer, content)
    assert built == Outer(boxes=(Inner(box_px=9), Inner()), widths_nm=(1.0, 2.5), limits=(3, 4.0))
    assert isinstance(built.widths_nm[0], float)
    assert settings_from(Outer, {"boxes": []}).boxes == ()


def test_kind_chooses_among_settings_and_the_first_is_meant_without_it() -> None:
    square = settings_from(Outer, {"shape": {"kind": "square", "side_nm": 3}})
    assert square.shape == Square(side_nm=3.0)
    assert settings_from(Outer, {"shape": {"radius_nm": 5}}).shape == Round(radius_nm=5.0)
    assert settings_from(Outer, {"shape": None}).shape is None


def test_settings_that_are_built_already_are_taken_as_they_are() -> None:
    built = settings_from(Outer, {"inner": Inner(box_px=5), "shape": Square(), "boxes": (Inner(),)})
    assert built == Outer(inner=Inner(box_px=5), shape=Square(), boxes=(Inner(),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"boxes": {}}, "boxes must be a list, got {}"),
        ({"limits": [1]}, r"limits must be a list of 2, got \[1\]"),
        ({"limits": [1.5, 1]}, r"limits\[0\] must be int, got 1.5"),
        ({"boxes": [{}, {"box_px": 1}]}, r"boxes\[1\]\.box_px must be 3 or more, got 1"),
        ({"widths_nm": [1, "x"]}, r"widths_nm\[1\] must be float, got 'x'"),
        (
            {"shape": {"kind": "oval"}},
            r"shape\.kind must be one of \['round', 'square'\], got 'oval'",
        ),
        ({"shape": {"kind": ["round"]}}, r"shape\.kind must be one of"),
        ({"shape": {"side_nm": 1}}, r"unknown setting shape\.side_nm; known are .*radius_nm"),
        ({"shape": "round"}, "shape must be names with values, got 'round'"),
        ({"boxx": 1}, "unknown setting boxx; known are"),
        ({"inner": {"box": 1}}, "unknown setting inner.box; known are"),
        ({"inner": {"box_px": 1.5}}, "inner.box_px must be int, got 1.5"),
        ({"inner": {"box_px": True}}, "inner.box_px must be int, got True"),
        ({"inner": {"box_px": 1}}, "inner.box_px must be 3 or more, got 1"),
        ({"tune": "film"}, "tune must be one of .*grain"),
        ({"method": "c"}, "method must be one of"),
        ({"keep": 3}, "keep must be str, got 3"),
        ({"inner": 3}, "inner must be names with values"),
        ([1], "the settings must be names with values"),
        ({"keep": None}, "keep must be str, got None"),
    ],
)
def test_a_wrong_setting_is_named(content: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings_from(Outer, content)


def test_settings_come_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("inner: {box_px: 9}\n")
    assert read_settings(Outer, path).inner.box_px == 9
    path.write_text("")
    assert read_settings(Outer, path) == Outer()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "cannot be read as YAML"),
        ("x: 1", "unknown setting x"),
        ("!!python/object/apply:os.system [ls]", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings(Outer, path)
    assert "s.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none.yaml does not exist"):
        read_settings(Outer, tmp_path / "none.yaml")


def test_settings_in_words_are_what_differs_from_the_defaults() -> None:
    assert in_words(Outer()) == "defaults"
    changed = Outer(method="b", inner=Inner(sigma_px=1.5), shape=Square(side_nm=3.0))
    assert in_words(changed).startswith("method=b, inner.sigma_px=1.5, shape=Square(")
    assert in_words(Inner(box_px=9, sigma_px=2.0)) == "box_px=9, sigma_px=2.0"
    assert [in_words(value) for value in (180, "photons > 300", "")] == [
        "180", "photons > 300", "none",
    ]  # fmt: skip
