"""A graph whose convolutions compute with whole numbers from 0 to 255, for the sake of speed.

How large the numbers in a layer become is found out with made-up frames; the first layer, whose
numbers are those of the camera, stays as it is. Frames brighter than the made-up ones would be cut
off, and must not be given to such a graph.
"""

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from cellstorm_lib.gan.engine import Frames

Ranges = list[tuple[float, float]]
#: Levels of numbers between layers, and of weights, which have both signs.
_LEVELS, _WEIGHT_LEVELS = 256, 255
_SIDE_PX, _SAMPLES, _SPOTS = 128, 12, 12
_LIGHT_E, _BACKGROUND_E, _SIGMA_PX, _READ_NOISE_E = (100.0, 2000.0), (1.0, 40.0), 1.3, 1.5


def sample_frames(channels: int) -> Frames:
    """Return (12, C, 128, 128) photoelectrons of made-up frames: spots, background and noise.

    Always the same ones; the spots have 100 to 2000 photoelectrons and stand still.
    """
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:_SIDE_PX, :_SIDE_PX] + 0.5
    made = np.empty((_SAMPLES, channels, _SIDE_PX, _SIDE_PX), np.float32)
    for sample in made:
        light = np.full((_SIDE_PX, _SIDE_PX), rng.uniform(*_BACKGROUND_E))
        for _ in range(_SPOTS):
            x_px, y_px = rng.uniform(0.0, _SIDE_PX, 2)
            square = ((columns - x_px) ** 2 + (rows - y_px) ** 2) / _SIGMA_PX**2
            peak = rng.uniform(*_LIGHT_E) / (2.0 * np.pi * _SIGMA_PX**2)
            light += peak * np.exp(-square / 2.0)
        noise = rng.normal(0.0, _READ_NOISE_E, sample.shape)
        sample[:] = rng.poisson(light, sample.shape) + noise
    return made


def ranges_of(graph: openvino.Model, windows: Frames) -> Ranges:
    """Return the least and the largest number that enters each convolution but the first.

    Parameters
    ----------
    graph : Model
        The graph in single precision; it is not changed.
    windows : (B, C, Y, X) float32
        What shows how large the numbers become.
    """
    probe = graph.clone()
    probe.add_outputs([layer.input_value(0) for layer in _convolutions(probe)[1:]])
    precisely = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(probe, "CPU", precisely).create_infer_request()
    request.infer([windows])
    found = [request.get_output_tensor(1 + n).data for n in range(len(probe.outputs) - 1)]
    return [(min(float(values.min()), 0.0), float(values.max())) for values in found]


def in_whole_numbers(graph: openvino.Model, ranges: Ranges) -> openvino.Model:
    """Return a graph with all its convolutions but the first in whole numbers.

    Parameters
    ----------
    graph : Model
        The graph in single precision; it is not changed.
    ranges : list of (float, float)
        From `ranges_of` the same network.
    """
    made = graph.clone()
    for layer, (low, high) in zip(_convolutions(made)[1:], ranges, strict=True):
        source = layer.input_value(0)
        layer.input(0).replace_source_output(_rounded(source, low, high, _LEVELS))
        weights = layer.input_value(1)
        largest = np.abs(weights.get_node().get_data()).max(axis=(1, 2, 3), keepdims=True)
        layer.input(1).replace_source_output(_rounded(weights, -largest, largest, _WEIGHT_LEVELS))
    made.validate_nodes_and_infer_types()
    return made


def _convolutions(graph: openvino.Model) -> list[Any]:
    """Return the convolutions of a graph in their order."""
    return [node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution"]


def _rounded(source: Any, low: Any, high: Any, levels: int) -> Any:
    """Return numbers rounded to some levels between two limits."""
    bounds = [ops.constant(np.asarray(bound, np.float32)) for bound in (low, high, low, high)]
    return ops.fake_quantize(source, *bounds, levels).output(0)
