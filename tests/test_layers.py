"""The floors of the house: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VOCABULARY = {
    "errors",
    "files",
    "processes",
    "settings",
    "camera",
    "chunks",
    "recording",
    "tables",
    "pixel_maps",
    "progress",
    "threads",
    "z_calibration",
}
STAGES = {
    "video", "calibrate", "simulate", "localize", "refine", "reconstruct", "evaluate", "export",
}  # fmt: skip
COMPOSITIONS = ["pairs", "gan", "pipeline", "report", "paper"]
HOMES = {"av": "video", "torch": "gan", "matplotlib": "report"}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "misc", "base"}

LIBRARY = sorted((ROOT / "cellstorm_lib").rglob("*.py"))
ASSETS = sorted((ROOT / "cellstorm_assets").rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def floor_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "cellstorm_lib" and len(parts) > 1 else None


def allowed_floors(own: str) -> set[str]:
    if own in VOCABULARY:
        return VOCABULARY
    if own in STAGES:
        return VOCABULARY | {own}
    return VOCABULARY | STAGES | set(COMPOSITIONS[: COMPOSITIONS.index(own) + 1])


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_library_imports_only_from_below(path: Path) -> None:
    own = path.relative_to(ROOT / "cellstorm_lib").parts[0].removesuffix(".py")
    floors = {floor for module in imports_of(path) if (floor := floor_of(module))}
    floors &= VOCABULARY | STAGES | set(COMPOSITIONS)
    if own == "__init__":
        assert not floors
    else:
        assert floors <= allowed_floors(own), f"{own} imports {floors - allowed_floors(own)}"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_library_never_imports_the_platform(path: Path) -> None:
    top = {module.split(".")[0] for module in imports_of(path)}
    assert not top & {"dagster", "mlflow", "cellstorm_assets"}
    own = path.relative_to(ROOT / "cellstorm_lib").parts[0]
    assert not {name for name, home in HOMES.items() if name in top and own != home}


@pytest.mark.parametrize("path", ASSETS, ids=lambda p: str(p.relative_to(ROOT)))
def test_assets_leave_video_networks_and_plots_to_the_library(path: Path) -> None:
    assert not {module.split(".")[0] for module in imports_of(path)} & set(HOMES)


def test_every_module_says_what_it_is_about() -> None:
    assert not FORBIDDEN_NAMES & {path.stem for path in LIBRARY + ASSETS}
    assert not FORBIDDEN_NAMES & {path.parent.name for path in LIBRARY + ASSETS}


def test_floor_rules_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from cellstorm_lib.video.read import open_recording\nimport dagster\n")
    floors = {floor for module in imports_of(bad) if (floor := floor_of(module))}
    assert "video" in floors - allowed_floors("localize")
    assert "dagster" in imports_of(bad)


def test_the_command_line_starts_without_what_takes_seconds_to_import() -> None:
    program = "import sys, cellstorm_assets.commands, cellstorm_assets.summary; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "matplotlib", "dagster", "mlflow"} & set(told)
