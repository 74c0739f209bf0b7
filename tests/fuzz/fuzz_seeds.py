"""Small whole files of every kind that is read, made on the fly by our own writers."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import yaml

from cellstorm_lib.camera import CAMERA_PRESETS, TransferPoints, write_calibration
from cellstorm_lib.export.formats import write_table
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.video.tiff import write_image, write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

sys.path[:0] = [str(Path(__file__).parents[1] / "lib" / "video")]

#: The files of one input by their names; the first is the one that is opened.
Files = dict[str, bytes]
_STACK = np.random.default_rng(0).integers(90, 400, (6, 12, 16)).astype(np.uint16)
_FILM = np.random.default_rng(1).integers(20, 200, (8, 48, 64)).astype(np.uint8)
_FIELD = FieldOfView(width_px=40, height_px=30, pixel_size_nm=100.0, frame_count=20)


def seeds(name: str) -> list[Files]:
    """Return the whole files of one kind."""
    with TemporaryDirectory() as folder:
        return list(_MAKERS[name](Path(folder)))


def _taken(*paths: Path) -> Files:
    """Return the content of files."""
    return {path.name: path.read_bytes() for path in paths}


def _videos(folder: Path) -> Iterator[Files]:
    """Yield H.264 and HEVC in MP4, MOV and MKV; with B frames, 10 bit, in fragments."""
    kinds = {
        "a.mp4": EncoderSettings(gop_frames=4),
        "b.mp4": EncoderSettings(gop_frames=8, b_frames=2, crf=30, bits_per_px=None),
        "c.mkv": EncoderSettings(gop_frames=4),
        "d.mov": EncoderSettings(codec="hevc", gop_frames=4),
        "e.mp4": EncoderSettings(codec="hevc", bit_depth=10, gop_frames=4),
    }
    for name, settings in kinds.items():
        film = _FILM.astype(np.uint16) * 4 if settings.bit_depth == 10 else _FILM
        write_video(folder / name, film, settings)
        yield {f"film{Path(name).suffix}": (folder / name).read_bytes()}
    yield {"film.mp4": _in_fragments(folder / "a.mp4", folder / "f.mp4")}


def _in_fragments(source: Path, path: Path) -> bytes:
    """Return a video in fragments, each with an index of its own."""
    flags = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(source)) as given, av.open(str(path), "w", container_options=flags) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return path.read_bytes()


def _tiffs(folder: Path) -> Iterator[Files]:
    """Yield stacks of other programs and ours, plain and compressed."""
    path = folder / "film.tif"
    write_stack(path, [_STACK], pixel_size_nm=100.0, frame_rate_hz=20.0, photons_per_adu=0.1)
    yield _taken(path)
    for options in (
        {"imagej": True, "metadata": {"axes": "TYX", "finterval": 0.05, "unit": "um"},
         "resolution": (10.0, 10.0)},
        {"photometric": "minisblack"},
        {"byteorder": ">", "bigtiff": True, "metadata": None},
        {"compression": "lzw", "predictor": True, "metadata": None},
        {"compression": "zlib", "tile": (16, 16), "metadata": None},
        {"compression": "packbits", "metadata": None},
        {"compression": "zstd", "rowsperstrip": 4, "ome": True},
        {"compression": "jpeg2000", "metadata": None},
    ):  # fmt: skip
        tifffile.imwrite(path, _STACK, **options)
        yield _taken(path)
    tifffile.imwrite(path, _STACK.astype(np.uint8), compression="jpeg", metadata=None)
    yield _taken(path)


def _images(folder: Path) -> Iterator[Files]:
    """Yield single images with their pixel size."""
    path = folder / "image.tif"
    write_image(path, _STACK[0], pixel_size_nm=10.0, details={"zoom": 5})
    yield _taken(path)
    write_stack(path, [_STACK[:1]], pixel_size_nm=100.0)
    yield _taken(path)


def _plain_stacks(folder: Path) -> Iterator[Files]:
    """Yield stacks of plain numbers with the text that describes them."""
    numbers = _STACK.astype(">u2").tobytes()
    yield {
        "film.dax": numbers,
        "film.inf": b"information file for\nframe dimensions = 16 x 12\nnumber of frames = 6\n"
        b"data type = 16 bit integers (binary, big endian)\n",
    }
    said = {"Byte Order": "<", "Data Type": "uint16", "Width": 16, "Height": 12, "Frames": 6,
            "Pixelsize": 100.0}  # fmt: skip
    yield {"film.raw": _STACK.astype("<u2").tobytes(), "film.yaml": yaml.safe_dump(said).encode()}


def _sifs(folder: Path) -> Iterator[Files]:
    """Yield an Andor file."""
    from test_video_stack import write_sif

    yield _taken(write_sif(folder / "film.sif", _STACK))


def _dngs(folder: Path) -> Iterator[Files]:
    """Yield raw files with and without a mosaic, with a preview, and of three colours."""
    from raw_files import mosaic, write_dng, write_dng_with_preview, write_linear_dng

    path = folder / "frame.dng"
    yield _taken(write_dng(path, mosaic((48, 64)), bits=16))
    yield _taken(write_dng(path, mosaic((48, 64)), bits=12, pattern=None))
    yield _taken(write_dng_with_preview(path, mosaic((48, 64))))
    yield _taken(write_linear_dng(path))


def _table(rows: int = 30) -> Localizations:
    """Return a table with most of the columns there are."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, 20, rows)),
            "x_nm": rng.uniform(0, 4000, rows),
            "y_nm": rng.uniform(0, 3000, rows),
            "sigma_nm": np.full(rows, 130.0),
            "photons": rng.uniform(100, 900, rows),
            "background_photons": np.full(rows, 4.0),
            "uncertainty_x_nm": np.full(rows, 12.0),
            "uncertainty_y_nm": np.full(rows, 13.0),
            "uncertainty_nm": np.full(rows, 12.5),
        }
    )
    return Localizations(data=data, field=_FIELD, provenance={"program": "fuzz"})


def _written(*names: str) -> Callable[[Path], Iterator[Files]]:
    """Return a maker of tables in formats this program writes."""

    def make(folder: Path) -> Iterator[Files]:
        for name in names:
            write_table(_table(), folder / name)
            beside = (folder / name).with_suffix(".yaml")
            yield _taken(folder / name, *([beside] if beside.exists() else []))

    return make


def _csvs(folder: Path) -> Iterator[Files]:
    """Yield ThunderSTORM's text and its relatives, with the protocol beside it."""
    write_table(_table(), folder / "table.csv")
    protocol = b'{"cameraSettings": {"pixelSize": 80.0, "offset": 100.0}}'
    yield _taken(folder / "table.csv") | {"table-protocol.txt": protocol}
    yield {"table.csv": b"frame;x [nm];y [nm];intensity [photon]\n1;10,5;20,5;300\n2;11,5;9,25;7\n"}
    yield {"table.csv": b"frame,x_nm,y_nm,photons,note\n0,10.5,20.5,300,a\n1,3,4,5,b\n"}
    yield {"table.csv": b"Channel,Frame,X (nm),Y (nm),Z (nm),Photons\n0,0,10.5,20.5,0.1,300\n"}


def _texts(folder: Path) -> Iterator[Files]:
    """Yield rapidSTORM's and Elyra's text."""
    write_table(_table(), folder / "table.txt")
    yield _taken(folder / "table.txt")
    head = "Index\tFirst Frame\tNumber Frames\tPosition X [nm]\tPosition Y [nm]\tNumber Photons\n"
    rows = "".join(f"{i}\t{i}\t1\t{10.5 * i}\t{20.25 * i}\t{300 + i}\n" for i in range(1, 20))
    yield {"table.txt": head.encode() + rows.encode() + b"\0VoxelSizeX : 0.1\n"}


def _insight(folder: Path) -> Iterator[Files]:
    """Yield a molecule list."""
    rows = np.random.default_rng(3).uniform(1, 30, (5, 18)).astype("<f4")
    rows.view("<i4")[:, 11:16] = 1
    yield {"table.bin": b"M425" + np.array([9, 6, 5], "<i4").tobytes() + rows.tobytes()}


def _hdf5s(folder: Path) -> Iterator[Files]:
    """Yield Picasso's tables and storm-analysis's, plain and compressed, and links."""
    yield from _written("table.hdf5")(folder)
    path = folder / "table.hdf5"
    with h5py.File(path, "w") as file:
        for frame in range(3):
            for name in ("x", "y", "sum", "xsigma"):
                file[f"fr_{frame}/{name}"] = np.arange(4.0) + frame
    yield _taken(path)
    rows = np.zeros(50, [("frame", "<u4"), ("x", "<f4"), ("y", "<f4"), ("photons", "<f4")])
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("locs", data=rows, chunks=(10,), compression="gzip", shuffle=True)
        file["metadata"] = json.dumps([{"Width": 40, "Height": 30, "Frames": 9, "Pixelsize": 100}])
    yield _taken(path)
    with h5py.File(path, "w") as file:  # a bomb: few bytes that claim to be very many
        file.create_dataset("locs", (1 << 40,), rows.dtype, chunks=(1 << 16,), compression="gzip")
        file["metadata"] = h5py.ExternalLink("/etc/passwd", "/")
    yield _taken(path)


def _parquets(folder: Path) -> Iterator[Files]:
    """Yield our table and another program's."""
    yield from _written("table.parquet")(folder)
    columns = {
        "frame": [0, 1, 2],
        "x_nm": [1.0, 2.0, 3.0],
        "y_nm": [4.0, 5.0, 6.0],
        "s": list("abc"),
    }
    pq.write_table(pa.table(columns), folder / "table.parquet", compression="zstd")
    yield _taken(folder / "table.parquet")


def _emitters(folder: Path) -> Iterator[Files]:
    """Yield a ground truth."""
    from cellstorm_lib.tables import Emitters, write_emitters

    data = _table().data[["frame", "x_nm", "y_nm", "photons"]].assign(emitter=1)
    write_emitters(Emitters(data=data, field=_FIELD), folder / "truth.parquet")
    yield _taken(folder / "truth.parquet")


def _records(folder: Path) -> Iterator[Files]:
    """Yield a stored result of a step."""
    from cellstorm_lib.pipeline.store import write_records

    write_records([CAMERA_PRESETS["huawei-p9-raw"]], folder / "record.parquet")
    yield _taken(folder / "record.parquet")


def _sidecars(folder: Path) -> Iterator[Files]:
    """Yield the choice stored beside a recording."""
    text = b"camera: huawei-p9-raw\npixel_size_nm: 100.0\nroi: 64x64+1+2\nown_flat_field: false\n"
    yield {"film.mp4.cellstorm.yaml": text, "film.mp4": b"x"}


def _settings(folder: Path) -> Iterator[Files]:
    """Yield the settings of a project."""
    from dataclasses import asdict

    from cellstorm_lib.pipeline.settings import PipelineSettings
    from cellstorm_lib.simulate.scene import _with_lists

    yield {"settings.yaml": yaml.safe_dump(_with_lists(asdict(PipelineSettings()))).encode()}
    yield {"settings.yaml": b"localize:\n  detect: {}\nmerge: {}\n"}


def _scenes(folder: Path) -> Iterator[Files]:
    """Yield scenes, whole and short, with a dye, a camera and a table of positions."""
    from cellstorm_lib.simulate.scene import read_preset, write_scene

    write_scene(read_preset("demo"), folder / "scene.yaml")
    yield _taken(folder / "scene.yaml")
    yield {
        "scene.yaml": b"name: x\nframe_count: 10\nstructure: {kind: table, table: p.csv}\n"
        b"blinking: {dye: alexa-fluor-647-dstorm}\ncamera: own.yaml\n"
        b"field: {width_px: 64, height_px: 64}\n",
        "own.yaml": b"camera: {like: huawei-p9-video, name: own}\n"
        b"codec: {qp: 20, bits_per_px: null}\n",
        "p.csv": b"x_nm,y_nm\n1,2\n3,4\n",
    }


def _cameras(folder: Path) -> Iterator[Files]:
    """Yield a camera for the simulator."""
    from cellstorm_lib.simulate.cameras import camera_names, read_camera

    for name in camera_names()[:3]:
        from dataclasses import asdict

        from cellstorm_lib.simulate.scene import _with_lists

        content = _with_lists(asdict(read_camera(name)))
        yield {"own.yaml": yaml.safe_dump(content).encode()}


def _calibrations(folder: Path) -> Iterator[Files]:
    """Yield calibrations with everything in them, and with maps beside them."""
    from dataclasses import replace

    from cellstorm_lib.pixel_maps import PixelMaps

    flat = np.ones((6, 8), np.float32)
    full = replace(
        CAMERA_PRESETS["huawei-p9-raw"],
        intervals={"gain_e_per_adu": (0.4, 0.5)},
        transfer=TransferPoints(
            mean_adu=(1.0, 2.0), variance_adu2=(1.0, 2.0), variance_error_adu2=(0.1, 0.1),
            pixel_count=(5, 5),
        ),
    )  # fmt: skip
    write_calibration(full, folder / "cal.json")
    yield _taken(folder / "cal.json")
    maps = PixelMaps(offset_adu=flat, relative_sensitivity=flat)
    write_calibration(replace(full, maps=maps), folder / "cal.json")
    yield _taken(folder / "cal.json", *sorted(folder.glob("*.tif")))


def _z_calibrations(folder: Path) -> Iterator[Files]:
    """Yield a z calibration."""
    from cellstorm_lib.z_calibration import DefocusCurve, ZCalibration, write_z_calibration

    curves = [DefocusCurve(width_px=1.5, centre_nm=z, depth_nm=400.0) for z in (-200.0, 200.0)]
    made = ZCalibration(
        name="z", source="beads", pixel_size_nm=100.0, along_x=curves[0], along_y=curves[1],
        z_from_nm=-400.0, z_to_nm=400.0, box_px=11,
    )  # fmt: skip
    write_z_calibration(made, folder / "z.json")
    yield _taken(folder / "z.json")


def _plans(folder: Path) -> Iterator[Files]:
    """Yield the plan of a display movie."""
    from dataclasses import asdict

    from cellstorm_lib.pairs.display_plan import PLAN_FORMAT, DisplaySettings

    content = {
        "format": PLAN_FORMAT, "settings": asdict(DisplaySettings()), "truth_width_px": 64,
        "truth_height_px": 64, "truth_count": 9, "full_scale_photons": 10.0, "mark": 7,
        "digest": "0" * 64, "movie": "m.mp4", "shown": "s.tif", "shown_digest": "1" * 64,
    }  # fmt: skip
    yield {"display.json": json.dumps(content).encode()}


def _checkpoints(folder: Path) -> Iterator[Files]:
    """Yield an untrained network."""
    from cellstorm_lib.gan.checkpoint import (
        Checkpoint,
        TrainingDomain,
        TrainingFacts,
        make_generator,
        weights_of,
        write_checkpoint,
    )
    from cellstorm_lib.gan.recipe import Recipe

    recipe = Recipe(first_filters=2)
    pair = (0.1, 0.2)
    made = Checkpoint(
        recipe=recipe, weights=weights_of(make_generator(recipe)), facts=TrainingFacts(),
        domain=TrainingDomain(gain_e_per_adu=pair, bits_per_px=pair, background_e=pair, cameras=1),
    )  # fmt: skip
    write_checkpoint(made, folder / "best.safetensors")
    yield _taken(folder / "best.safetensors")


def _appraisers(folder: Path) -> Iterator[Files]:
    """Yield the network by which spots are appraised."""
    from cellstorm_lib.localize.appraisal import SHIPPED

    yield {"appraiser.safetensors": SHIPPED["film"].read_bytes()}


def _spot_tables(folder: Path) -> Iterator[Files]:
    """Yield images of a spot."""
    from PIL import Image

    row = np.exp(-((np.arange(21) - 10.0) ** 2) / 8)
    image = np.outer(row, row)
    np.save(folder / "psf.npy", image)
    yield _taken(folder / "psf.npy")
    Image.fromarray((image * 200).astype(np.uint8)).save(folder / "psf.tif")
    yield _taken(folder / "psf.tif")


def _masks(folder: Path) -> Iterator[Files]:
    """Yield pictures that say where sites are."""
    from PIL import Image

    for name in ("mask.png", "mask.tif", "mask.bmp", "mask.gif", "mask.jpg"):
        Image.fromarray(_FILM[0]).save(folder / name)
        yield _taken(folder / name)


def _datasets(folder: Path) -> Iterator[Files]:
    """Yield the recipes of training sets that come with the program."""
    for path in sorted((Path(__file__).parents[2] / "examples" / "datasets").glob("*.yaml")):
        yield {"set.yaml": path.read_bytes()}


def _shelves(folder: Path) -> Iterator[Files]:
    """Yield a stated camera with the flat field that was measured for it."""
    from cellstorm_lib.pixel_maps import write_map

    write_map(np.ones((6, 8), np.float32), folder / "phone.tif")
    text = (
        b"source: data sheet\noffset_adu: 5\ngain_e_per_adu: 0.5\nread_noise_e: 1\nbit_depth: 12\n"
    )
    yield {"phone.yaml": text, **_taken(folder / "phone.tif")}


def _positions(folder: Path) -> Iterator[Files]:
    """Yield tables of positions."""
    yield {"sites.csv": b"x_nm,y_nm,note\n10,20,a\n30.5,40,b\n"}
    pq.write_table(pa.table({"x_nm": [1.0, 2.0], "y_nm": [3.0, 4.0]}), folder / "sites.parquet")
    yield _taken(folder / "sites.parquet")


def _notes(folder: Path) -> Iterator[Files]:
    """Yield what says what it was made from, each kind of file."""
    from PIL import Image

    from cellstorm_lib.pipeline.lineage_commands import with_note
    from cellstorm_lib.pipeline.lineage_files import READ, Note, note_picture, page_with

    note = Note(result="raw/spots", recording="a.mp4", made_from={"film": "a.mp4 #ab", "x": "#1"})
    for ending in READ:
        path = folder / f"told{ending}"
        if ending == ".html":
            path.write_text(page_with("<!doctype html><head><title>x</title></head>", note))
        elif ending == ".png":
            Image.fromarray(_FILM[0]).save(path)
            note_picture(path, note)
        elif ending == ".json":
            path.write_text(json.dumps({"lineage": note.plain()}))
        elif ending in {".tif", ".tiff"}:
            write_image(path, _STACK[0], pixel_size_nm=10.0, details={"lineage": note.plain()})
        else:
            write_table(with_note(_table(), note), path)
        beside = [folder / "told.yaml", folder / "told-protocol.txt"]
        yield _taken(path, *(entry for entry in beside if entry.exists()))
        for entry in beside:
            entry.unlink(missing_ok=True)


_MAKERS: dict[str, Callable[[Path], Iterator[Files]]] = {
    "video": _videos, "tiff": _tiffs, "image": _images, "plain_stack": _plain_stacks, "sif": _sifs,
    "dng": _dngs, "csv": _csvs, "text": _texts, "insight3": _insight, "hdf5": _hdf5s,
    "parquet": _parquets, "smlm": _written("table.smlm"), "emitters": _emitters,
    "records": _records, "sidecar": _sidecars, "settings": _settings, "scene": _scenes,
    "camera": _cameras, "calibration": _calibrations, "z_calibration": _z_calibrations,
    "display_plan": _plans, "checkpoint": _checkpoints, "appraiser": _appraisers,
    "spot_table": _spot_tables, "positions": _positions, "mask": _masks, "dataset": _datasets,
    "shelf": _shelves, "note": _notes,
}  # fmt: skip
