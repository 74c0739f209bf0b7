"""Table 1, Fig. 5 and 6: what was put into the simulated camera comes out of its calibration."""

from pathlib import Path

from cellstorm_lib.paper.camera import (
    dark_figure,
    dark_video,
    measured_camera,
    table_figure,
    transfer_figure,
)

TRUE = {"offset_adu": 4.074, "gain_e_per_adu": 0.34, "read_noise_e": 1.23, "fixed_pattern_e": 0.343}


def test_photon_transfer_finds_the_numbers_of_the_paper_again(tmp_path: Path) -> None:
    calibration = measured_camera(tmp_path, pictures=40)
    for name, true in TRUE.items():
        low, high = calibration.intervals[name]
        half = (high - low) / 2
        # a 95 % interval misses one in twenty: three times as wide, one in 10^8
        assert low - 2 * half <= true <= high + 2 * half, name
        assert half < 0.2 * true
    figure = transfer_figure(calibration, pictures=40)
    assert [row.theirs for row in figure.rows][1] == "0.34 e-/grey value"
    assert figure.panels[0].shot.address.startswith("data:image/png;base64,")


def test_the_dark_video_drops_with_every_key_frame(tmp_path: Path) -> None:
    stability = dark_video(tmp_path, frame_count=420)
    assert abs(stability.period_frames - 21) < 1
    rows = {row.what: row for row in dark_figure(stability).rows}
    assert rows["Period of the drops"].ours == "1.05 s"
    assert rows["Period of the drops"].theirs == "1.07 s"


def test_table_1_tells_the_cameras_of_the_simulator() -> None:
    said = {row.what: (row.theirs, row.ours) for row in table_figure().rows}
    assert said["Read noise, emCCD"] == ("0.2 e- RMS", "0.2 e- RMS")
    assert said["Read noise, phone"] == ("1.23 e- RMS", "1.23 e- RMS")
    assert said["Bit depth, emCCD"] == ("14 bit", "14 bit")
