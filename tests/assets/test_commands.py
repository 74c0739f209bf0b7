"""The command line: figures, formats, and errors in one sentence."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellstorm_assets.commands import cellstorm, main
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import read_localizations
from cellstorm_lib.video.read import open_recording

ROOT = Path(__file__).parents[2]
COMMANDS = {
    line.strip()
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    for line in re.findall(r"^ *cellstorm .*$", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("line", sorted(COMMANDS))
def test_a_command_in_the_documents_has_options_that_exist(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = cellstorm.commands[name]
    assert command.make_context(name, arguments).command is command


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def figures(self) -> dict[str, object]:
        return dict(json.loads(self.out.strip().splitlines()[-1]))


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def camera(film: SimulatedRecording) -> list[object]:
    numbers = json.loads(film.camera.read_text())
    return [
        "--offset-adu", numbers["offset_adu"], "--gain-e-per-adu", numbers["gain_e_per_adu"],
        "--read-noise-e", numbers["read_noise_e"],
    ]  # fmt: skip


@pytest.fixture(scope="module")
def table(film: SimulatedRecording, camera: list[object], tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("table") / "spots.parquet"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setenv("CELLSTORM_HOME", str(out.parent / "home"))
        main(
            list(map(str, ["localize", film.movie, "--out", out, "--pixel-size-nm", 100, *camera]))
        )
    assert left.value.code == 0
    return out


def test_localize_tells_its_figures(run, film, camera, tmp_path: Path) -> None:
    out = tmp_path / "spots.csv"
    ran = run("localize", film.movie, "--out", out, "--pixel-size-nm", 100, *camera, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.figures) >= {
        "frames", "localizations", "frames_per_second", "rejected", "threshold",
        "expected_false_per_frame",
    }  # fmt: skip
    assert ran.figures["frames"] == 300
    assert len(pd.read_csv(out)) == ran.figures["localizations"] > 100
    assert "\r" not in ran.err


def test_localize_takes_a_range_of_frames_and_keeps_their_numbers(
    run, film, camera, tmp_path: Path
) -> None:
    out = tmp_path / "some.parquet"
    ran = run("localize", film.movie, "--out", out, "--pixel-size-nm", 100, *camera,
              "--frames", "100:150", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    frames = read_localizations(out).column("frame")
    assert frames.min() >= 100
    assert frames.max() < 150
    assert ran.figures["frames"] == 50


def test_localize_says_when_the_camera_is_estimated(run, film, tmp_path: Path) -> None:
    ran = run("localize", film.movie, "--out", tmp_path / "t.parquet", "--pixel-size-nm", 100)
    assert ran.code == 0, ran.err
    assert "estimated" in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pixel-size-nm", 0], "between 1 and 10000 nm, got 0"),
        (["--pixel-size-nm", -5], "between 1 and 10000 nm, got -5"),
        ([], "give --pixel-size-nm"),
        (["--pixel-size-nm", 0.09], "got 0.09; 0.09 um are 90 nm"),
        (["--pixel-size-nm", "80nm"], "'80nm' is not a number; give it without its unit"),
        (["--pixel-size-nm", 100, "--frames", "3"], "written START:STOP"),
        (["--pixel-size-nm", 100, "--roi", "big"], "WxH"),
        (["--pixel-size-nm", 100, "--offset-adu", 4], "belong together"),
        (["--pixel-size-nm", 100, "--camera", "nokia"], "no camera 'nokia'"),
        (["--pixel-size-nm", 100, "--camera", "huawei-p9-raw"], "12"),
        (["--pixel-size-nm", 100, "--offset-adu", 414, "--gain-e-per-adu", 3.6], "offset"),
        (["--pixel-size-nm", 100, "--wrong"], "No such option"),
    ],
)
def test_bad_options_are_one_sentence_with_exit_code_2(
    run, film, tmp_path: Path, arguments: list[object], message: str
) -> None:
    out = tmp_path / "t.parquet"
    ran = run("localize", film.movie, "--out", out, *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.mp4", b""), ("junk.mp4", b"\x07" * 5000), ("text.tif", b"hello"), ("notes.txt", b"x")],
)
def test_bad_files_are_one_sentence_that_names_them(
    run, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    ran = run("localize", tmp_path / name, "--out", tmp_path / "o.csv", "--pixel-size-nm", 100)
    assert ran.code == 2
    assert name in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not (tmp_path / "o.csv").exists()


def test_a_table_of_an_unknown_ending_is_refused_before_any_work(run, film, tmp_path: Path) -> None:
    ran = run("localize", film.movie, "--out", tmp_path / "t.xls", "--pixel-size-nm", 100)
    assert ran.code == 2
    assert ".parquet" in ran.err


def test_refinement_steps_follow_each_other(run, table: Path, tmp_path: Path) -> None:
    steps = [
        run("select", table, "--where", "photons > 300 & uncertainty_nm < 60",
            "--out", tmp_path / "a.parquet", "--json"),
        run("drift", tmp_path / "a.parquet", "--out", tmp_path / "b.parquet", "--json"),
        run("merge", tmp_path / "b.parquet", "--out", tmp_path / "c.hdf5", "--json"),
    ]  # fmt: skip
    assert [step.code for step in steps] == [0, 0, 0], [step.err for step in steps]
    assert set(steps[1].figures) >= {"rms_nm", "segments", "applied"}
    selected = read_localizations(tmp_path / "a.parquet")
    assert selected.column("photons").min() > 300
    assert (tmp_path / "c.yaml").exists()


def test_render_writes_what_the_ending_says(run, table: Path, tmp_path: Path) -> None:
    png, tif = tmp_path / "i.png", tmp_path / "i.tif"
    assert run("render", table, "--out", png).code == 0
    assert run("render", table, "--out", tif, "--render-pixel-nm", 20).code == 0
    with Image.open(png) as picture:
        assert min(picture.size) > 100
    with Image.open(tif) as picture:
        assert picture.mode == "F"
        assert picture.size == (480, 480)
        drawn = np.asarray(picture).sum()
    assert drawn == pytest.approx(len(read_localizations(table)), rel=0.02)
    ran = run("render", table, "--out", tmp_path / "i.gif")
    assert ran.code == 2
    assert ".png or .tif" in ran.err


def test_frc_answers_with_an_interval_or_with_none(run, table: Path) -> None:
    ran = run("frc", table, "--json")
    assert ran.code == 0, ran.err
    assert "linked" in ran.err
    assert set(ran.figures) >= {
        "resolution_nm", "low_nm", "high_nm", "split", "threshold", "render_pixel_nm"
    }  # fmt: skip
    assert ran.figures["split"] == "molecules"


def test_evaluate_compares_with_the_truth(run, table: Path, film: SimulatedRecording) -> None:
    ran = run("evaluate", table, "--truth", film.truth, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.figures) >= {
        "jaccard", "recall", "precision", "rmse_nm", "efficiency", "bias_x_nm", "bias_y_nm",
        "error_over_uncertainty", "true", "found", "matched",
    }  # fmt: skip
    assert float(str(ran.figures["precision"])) > 0.7


def test_convert_there_and_back_changes_nothing_that_matters(
    run, table: Path, tmp_path: Path
) -> None:
    assert run("convert", table, tmp_path / "t.csv").code == 0
    assert (
        run("convert", tmp_path / "t.csv", tmp_path / "t.parquet", "--pixel-size-nm", 100).code == 0
    )
    before, after = read_localizations(table), read_localizations(tmp_path / "t.parquet")
    np.testing.assert_allclose(after.xy_nm, before.xy_nm, atol=1e-4)
    np.testing.assert_array_equal(after.column("frame"), before.column("frame"))


def test_a_table_without_columns_is_refused(run, tmp_path: Path) -> None:
    (tmp_path / "head.csv").write_text('"a","b"\n1,2\n')
    ran = run("render", tmp_path / "head.csv", "--out", tmp_path / "o.png")
    assert ran.code == 2
    assert "head.csv" in ran.err
    assert not (tmp_path / "o.png").exists()


def test_process_takes_a_recording_to_its_report(
    run, film: SimulatedRecording, tmp_path: Path
) -> None:
    out = tmp_path / "result"
    ran = run("process", film.movie, "--camera", film.camera, "--pixel-size-nm", 100,
              "--out", out, "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert Path(str(ran.figures["report"])).is_file()
    assert set(ran.figures) >= {"raw", "denoised", "verdict"}
    assert ran.figures["verdict"]["use"] in {"raw", "denoised", "cannot tell"}
    for branch in ("raw", "denoised"):
        assert (out / branch / "super_resolution.png").is_file()
    assert open_recording(out / "denoised_stack.ome.tif").facts.is_denoised
    assert (out / "verdict.parquet").is_file()


def test_process_without_the_network_leaves_one_branch(
    run, film: SimulatedRecording, tmp_path: Path
) -> None:
    ran = run("process", film.movie, "--camera", film.camera, "--pixel-size-nm", 100,
              "--no-denoise", "--out", tmp_path / "raw only", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "denoised" not in ran.figures
    assert ran.figures["verdict"] is None
    assert not (tmp_path / "raw only" / "denoised_stack.ome.tif").exists()


def test_process_refuses_a_network_that_is_none_before_anything_is_written(
    run, film: SimulatedRecording, tmp_path: Path
) -> None:
    pickle = tmp_path / "net.pth"
    pickle.write_bytes(b"\x80\x04K\x01.")
    ran = run("process", film.movie, "--pixel-size-nm", 100, "--model", pickle,
              "--out", tmp_path / "result")  # fmt: skip
    assert ran.code == 2
    assert "net.pth is no checkpoint" in ran.err
    assert not (tmp_path / "result").exists()


def test_simulate_films_a_scene_file(run, tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text("frame_count: 20\nfield: {width_px: 64, height_px: 64}\n")
    out = tmp_path / "film"
    ran = run("simulate", scene, "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert {path.name for path in out.iterdir()} >= {
        "truth.parquet", "movie.mp4", "clean.ome.tif", "camera.ome.tif"
    }  # fmt: skip
    scene.write_text("frames: 20\n")
    ran = run("simulate", scene, "--out", tmp_path / "other")
    assert ran.code == 2
    assert "scene.yaml" in ran.err
    assert not (tmp_path / "other").exists()


def test_compare_puts_tables_side_by_side(run, table: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("compare", table, table, "--out", page, "--json")
    assert ran.code == 0, ran.err
    assert len(ran.figures["rows"]) == 2  # type: ignore[arg-type]
    assert page.read_text(encoding="utf-8").count("spots.parquet") >= 2


def test_add_copies_into_the_watched_folder(run, film: SimulatedRecording, tmp_path: Path) -> None:
    ran = run("add", film.movie, "--pixel-size-nm", 100)
    assert ran.code == 0, ran.err
    assert (tmp_path / "home" / "data" / "recordings" / film.movie.name).is_file()
    ran = run("add", film.movie)
    assert ran.code == 2
    assert "--pixel-size-nm" in ran.err


def test_what_is_missing_is_named_with_what_belongs_there(run) -> None:
    assert (
        "Missing option '--out': Table to write, as spots.parquet" in run("localize", "a.tif").err
    )
    assert "Missing argument 'FILE': a video or a stack of frames (see" in run("process").err
    assert "Missing argument 'TABLE': a table of localizations" in run("frc").err


def test_a_table_without_uncertainties_is_drawn_in_another_way(run, tmp_path: Path) -> None:
    table, picture = tmp_path / "t.csv", tmp_path / "t.png"
    table.write_text('"frame","x [nm]","y [nm]"\n' + "1,500,700\n1,900,300\n")
    ran = run("render", table, "--out", picture)
    assert ran.code == 0, ran.err
    assert "drawn as ash" in ran.out
    assert picture.is_file()
    assert run("render", table, "--out", picture, "--method", "gaussian").code == 2


def test_a_table_of_a_cut_stack_is_told_to_be_shifted(run, tmp_path: Path) -> None:
    head = '"frame","x [nm]","y [nm]","intensity [photon]"\n'
    (tmp_path / "cut.csv").write_text(head + "1,500,700,300\n")
    (tmp_path / "truth.csv").write_text(head + "20,500,700,300\n")
    arguments = ("evaluate", tmp_path / "cut.csv", "--truth", tmp_path / "truth.csv", "--json")
    ran = run(*arguments)
    assert "--shift-frames 19" in ran.err
    assert ran.figures["matched"] == 0
    ran = run(*arguments, "--shift-frames", 19)
    assert ran.figures["matched"] == 1
    assert "nothing matches" not in ran.err


def test_a_simulated_film_is_followed_by_the_command_that_processes_it(run, tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(
        "frame_count: 30\nfield: {width_px: 64, height_px: 64, pixel_size_nm: 90}\n"
        "structure: null\n"
    )
    ran = run("simulate", scene, "--out", tmp_path / "film")
    told = next(line for line in ran.out.splitlines() if line.startswith("next"))
    assert "--pixel-size-nm 90 " in told
    ran = run(*shlex.split(told.removeprefix("next"))[1:], "--no-denoise",
              "--out", tmp_path / "result")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "found in 30 frames. Play the film" in ran.out
    assert "check FRC crossed" not in ran.out
    told = {line.split()[0]: line.split()[1] for line in ran.out.splitlines()}
    assert all(Path(told[name]).is_file() for name in ("image", "table", "report"))


def test_a_folder_that_cannot_be_written_is_named(run, table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run("convert", table, tmp_path / "file" / "t.csv")
    assert ran.code == 2
    assert "cannot write" in ran.err


def test_help_and_version_are_quick_answers(run) -> None:
    assert run("--version").out.startswith("cellstorm")
    assert "demo" in run("--help").out
    assert "demo" in run().out + run().err
