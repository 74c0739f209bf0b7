"""What single commands write says itself what it was made from, without a project."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cellstorm_assets.commands import main
from cellstorm_lib.export.formats import read_table
from cellstorm_lib.files import digest_of, digest_of_file
from cellstorm_lib.pipeline import lineage
from cellstorm_lib.pipeline.lineage import STEPS, Step, identity_of
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.refine.merge import MergeSettings
from cellstorm_lib.simulate.record import SimulatedRecording

Run = Callable[..., str]
Told = dict[str, object]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command in an empty folder and gives what it printed."""
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> str:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        assert (left.value.code or 0) == 0, printed.err
        return printed.out

    return call


@pytest.fixture
def spots(run: Run, film: SimulatedRecording) -> str:
    """Return a table that `cellstorm localize` wrote."""
    run("localize", film.movie, "--out", "spots.parquet", "--pixel-size-nm", 100,
        "--camera", film.camera)  # fmt: skip
    return "spots.parquet"


def told(run: Run, file: str) -> dict[str, dict[str, str]]:
    """Return what `cellstorm lineage` says of a file."""
    answer: dict[str, dict[str, str]] = json.loads(run("lineage", file, "--json").splitlines()[-1])
    return answer


def test_localize_tells_film_camera_settings_and_code(run: Run, film, spots: str) -> None:
    answer = told(run, spots)
    made_from = answer["made_from"]
    assert answer["result"] == "raw/spots"
    assert answer["recording"] == film.movie.name
    assert identity_of(made_from["film"]).startswith(digest_of_file(film.movie))
    assert "100 nm per pixel" in made_from["calibration"]
    assert identity_of(made_from["settings.localize"]) == digest_of(PipelineSettings().localize)
    assert made_from["code.raw/spots"] == STEPS["raw/spots"].code
    assert answer["state"] == "up to date"


def test_a_chain_of_commands_tells_every_link(run: Run, spots: str) -> None:
    run("drift", spots, "--out", "still.parquet")
    run("merge", "still.parquet", "--out", "merged.parquet", "--radius-uncertainties", 2.5)
    run("select", "merged.parquet", "--where", "photons > 50", "--out", "some.parquet")
    run("select", "some.parquet", "--where", "photons < 1e9", "--out", "kept.parquet")
    for image in ("image.png", "image.tif"):
        run("render", "kept.parquet", "--out", image, "--render-pixel-nm", 20)
        answer = told(run, image)
        made_from = answer["made_from"]
        assert answer["result"] == "cellstorm render"
        assert identity_of(made_from["film"]) == identity_of(told(run, spots)["made_from"]["film"])
        chain = (
            ("drift", spots),
            ("merge", "still.parquet"),
            ("select", "merged.parquet"),
            ("select 2", "some.parquet"),
            ("render", "kept.parquet"),
        )
        for link, file in chain:
            assert made_from[f"input of {link}"] == f"{file} #{digest_of_file(Path(file))}"
        merged = MergeSettings(radius_uncertainties=2.5)
        assert made_from["settings.merge"] == f"radius_uncertainties=2.5 #{digest_of(merged)}"
        assert made_from["settings.keep"].startswith("photons > 50 #")
        assert made_from["settings.keep 2"].startswith("photons < 1e9 #")
        assert made_from["settings.render"].startswith("pixel_nm=20.0 #")
        assert made_from["settings.drift"].startswith("defaults #")
        assert {"code.raw/drift", "code.raw/super_resolution"} <= made_from.keys()
        assert answer["state"] == "up to date"
        assert "input of select 2" in run("lineage", image)


def test_a_table_in_another_format_tells_it_too(run: Run, spots: str) -> None:
    run("convert", spots, "spots.smlm")
    answer = told(run, "spots.smlm")
    assert identity_of(answer["made_from"]["input of convert"]) == digest_of_file(Path(spots))
    assert answer["made_from"]["film"] == told(run, spots)["made_from"]["film"]
    run("convert", "spots.smlm", "again.parquet")
    assert "input of convert 2" in told(run, "again.parquet")["made_from"]
    assert len(read_table(Path("again.parquet"))) == len(read_table(Path(spots)))


@pytest.mark.parametrize("ending", [".csv", ".hdf5", ".h5", ".txt"])
def test_a_table_for_another_program_tells_it_and_hands_it_on(
    run: Run, film: SimulatedRecording, spots: str, ending: str
) -> None:
    run("convert", spots, f"theirs{ending}")
    answer = told(run, f"theirs{ending}")
    made_from = answer["made_from"]
    assert answer["recording"] == film.movie.name
    assert identity_of(made_from["film"]).startswith(digest_of_file(film.movie))
    assert "100 nm per pixel" in made_from["calibration"]
    assert identity_of(made_from["settings.localize"]) == digest_of(PipelineSettings().localize)
    assert made_from["code.raw/spots"] == STEPS["raw/spots"].code
    assert identity_of(made_from["input of convert"]) == digest_of_file(Path(spots))
    assert answer["state"] == "up to date"
    size = () if ending in {".hdf5", ".h5"} else ("--pixel-size-nm", 100)
    run("convert", f"theirs{ending}", "again.parquet", *size)
    again = told(run, "again.parquet")["made_from"]
    digest = digest_of_file(Path(f"theirs{ending}"))
    assert again == {**made_from, "input of convert 2": f"theirs{ending} #{digest}"}


def test_a_table_beside_the_protocol_of_another_is_refused_in_one_sentence(
    spots: str, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run("convert", spots, "theirs.csv")
    Path("theirs.csv").write_text("frame,x [nm],y [nm]\n1,2,3\n", encoding="utf-8")
    for file, told_to in (
        ("theirs.csv", "theirs-protocol.txt belongs to another table"),
        ("theirs-protocol.txt", "give the table, theirs.csv"),
    ):
        with pytest.raises(SystemExit):
            main(["lineage", file])
        error = capfd.readouterr().err
        assert told_to in error
        assert error.count("\n") == 1


def test_figures_in_a_file_tell_what_they_are_of(run: Run, spots: str) -> None:
    for command in ("frc", "quality"):
        Path("told.json").write_text(run(command, spots, "--json"), encoding="utf-8")
        answer = told(run, "told.json")
        assert answer["result"] == f"cellstorm {command}"
        assert identity_of(answer["made_from"][f"input of {command}"]) == digest_of_file(
            Path(spots)
        )


def test_a_page_tells_which_tables_it_compares(run: Run, spots: str) -> None:
    run("compare", spots, spots, "--out", "both.html")
    made_from = told(run, "both.html")["made_from"]
    assert made_from["input 1"] == made_from["input 2"]
    assert identity_of(made_from["input 1"]) == digest_of_file(Path(spots))


def test_a_denoised_stack_tells_its_camera_and_network_and_so_do_its_spots(
    run: Run, film: SimulatedRecording
) -> None:
    run("denoise", film.movie, "--out", "light.ome.tif", "--camera", film.camera,
        "--pixel-size-nm", 100, "--frames", ":20")  # fmt: skip
    answer = told(run, "light.ome.tif")
    assert answer["result"] == "denoised_stack"
    assert {"film", "calibration", "model", "frames"} <= answer["made_from"].keys()
    assert answer["made_from"]["code.denoised_stack"] == STEPS["denoised_stack"].code
    assert answer["state"] == "up to date"
    run("localize", "light.ome.tif", "--out", "found.parquet")
    of_spots = told(run, "found.parquet")["made_from"]
    assert of_spots["model"] == answer["made_from"]["model"]
    assert of_spots["calibration"] == answer["made_from"]["calibration"]
    assert identity_of(of_spots["input of localize"]) == digest_of_file(Path("light.ome.tif"))


def test_a_table_of_another_program_is_told_by_its_digest(run: Run, film, spots: str) -> None:
    run("convert", spots, "theirs.csv")
    Path("theirs-protocol.txt").unlink()
    run("merge", "theirs.csv", "--out", "merged.parquet", "--pixel-size-nm", 100)
    answer = told(run, "merged.parquet")
    assert identity_of(answer["made_from"]["input of merge"]) == digest_of_file(Path("theirs.csv"))
    assert answer["state"] == "unknown"
    assert answer["reason"] == "it does not say which film it comes from"
    run("localize", film.movie, "--out", "like.parquet", "--pixel-size-nm", 100,
        "--camera", film.camera, "--like", "thunderstorm")  # fmt: skip
    like = told(run, "like.parquet")
    assert like["result"] == "cellstorm localize"
    assert identity_of(like["made_from"]["film"]).startswith(digest_of_file(film.movie))


def test_new_code_makes_the_file_of_a_command_stale(
    run: Run, spots: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("merge", spots, "--out", "merged.parquet")
    steps = {**STEPS, "raw/localizations": Step(code="9")}
    monkeypatch.setattr(lineage, "STEPS", steps)
    answer = told(run, "merged.parquet")
    assert answer["state"] == "stale"
    assert answer["reason"] == (
        "the program makes raw/localizations in another way (version 1, now 9)"
    )
