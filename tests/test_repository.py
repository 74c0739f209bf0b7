"""The repository is what it says it is."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def test_the_packaged_instance_is_the_one_at_the_top() -> None:
    packaged = ROOT / "cellstorm_assets" / "instance.yaml"
    assert packaged.read_text() == (ROOT / "dagster.yaml").read_text()


def test_the_constraints_fulfil_the_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    for text in project["dependencies"]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name == "torch":
            continue  # installed first, by the Makefile
        assert requirement.specifier.contains(versions[name]), text


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")],
    ids=lambda path: path.name,
)
def test_links_inside_the_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} points to {target}"


def test_commands_in_the_readme_exist() -> None:
    from cellstorm_assets.commands import cellstorm

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"^cellstorm ([a-z-]+)", text, re.MULTILINE))
    assert used
    assert used <= set(cellstorm.commands)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_programs_that_documents_tell_to_run_exist() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents)
    benchmarks = {path.stem.removeprefix("bench_") for path in ROOT.glob("benchmarks/bench_*.py")}
    named = set(re.findall(r"python -m benchmarks(?:\.bench_| )([a-z_]+)", text))
    assert len(named) > 20
    assert named <= benchmarks
    files = set(re.findall(r"\b((?:tests|examples|benchmarks)/[\w/]+\.py)\b", text))
    assert len(files) > 10
    assert {name for name in files if not (ROOT / name).is_file()} == set()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
