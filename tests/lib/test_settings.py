"""Settings are built from plain content, and what is wrong with it is named."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.settings import read_settings, settings_from


@dataclass(frozen=True, kw_only=True)
class Inner:
    box_px: int = 7
    sigma_px: float | None = None

    def __post_init__(self) -> None:
        if self.box_px < 3:
            raise SettingsError(f"box_px must be 3 or more, got {self.box_px}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    method: Literal["a", "b"] = "a"
    inner: Inner = field(default_factory=Inner)
    keep: str = ""
    is_on: bool = True
    tune: Literal["grain"] | None = None


def test_what_is_not_named_keeps_its_default() -> None:
    assert settings_from(Outer, {}) == Outer()
    built = settings_from(Outer, {"inner": {"sigma_px": 1}, "method": "b", "is_on": False})
    assert built == Outer(method="b", inner=Inner(sigma_px=1.0), is_on=False)
    assert isinstance(built.inner.sigma_px, float)
    assert settings_from(Outer, {"inner": {"sigma_px": None}}) == Outer()
    assert settings_from(Outer, {"tune": "grain"}).tune == "grain"


@pytest.mark.parametrize(
    ("content", "message"),
    [
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
