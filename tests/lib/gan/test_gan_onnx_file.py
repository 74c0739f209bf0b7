"""ONNX files: another program gives what the denoiser gives, for frames of any size."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from gan_networks import FINE, champion, film_e, untrained

from cellstorm_lib.errors import ExportError
from cellstorm_lib.gan import onnx_file
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.onnx_file import FRAMES, LIGHT, write_onnx


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "champion.onnx"
    write_onnx(champion(half_precision=False), path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(64, 96), (45, 77), (130, 33)])
def test_another_program_gives_the_same_light(
    session: onnxruntime.InferenceSession, shape: tuple[int, int]
) -> None:
    frames_e = film_e((4, *shape), 7)
    expected = Denoiser(champion(half_precision=False), device="cpu").light(frames_e)
    both = np.stack([frames_e[:3], frames_e[1:]])
    (made,) = session.run([LIGHT], {FRAMES: both})
    assert made.shape == (2, 1, *shape)
    assert expected.max() > 20.0
    np.testing.assert_allclose(made[:, 0], expected, atol=2e-3)


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"net\.pt must end in \.onnx"):
        write_onnx(untrained(FINE), tmp_path / "net.pt")
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"need onnx and onnxscript; install cellstorm\[onnx\]"):
        write_onnx(untrained(FINE), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
