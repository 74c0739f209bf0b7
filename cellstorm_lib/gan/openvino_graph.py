"""The graph of a network in OpenVINO's terms, built node by node.

OpenVINO's own converter reports its use over the network and holds on to one size of frames;
our networks consist of so few operations that none of it is needed.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from torch import Tensor, fx, nn
from torch.nn import functional

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.engine import UNCUT, Cut


def graph_of(network: nn.Module, channels: int, cut: Cut = UNCUT) -> openvino.Model:
    """Return a network as a graph that takes (B, C, Y, X) of any B, Y and X.

    Parameters
    ----------
    network : nn.Module
        One of our generators, in evaluation mode.
    channels : int
        C, the frames of a window.
    cut : Cut
        On which sides windows were cut out of larger frames; only for the lean network.

    Raises
    ------
    CheckpointError
        When the network has an operation that is not known here.
    """
    entrance = ops.parameter([-1, channels, -1, -1], np.float32)
    made: dict[fx.Node, Any] = {}
    modules = dict(network.named_modules())
    end = entrance
    for node in fx.symbolic_trace(network).graph.nodes:
        if node.op == "placeholder":
            made[node] = entrance
        elif node.op == "output":
            end = made[node.args[0]]
        elif node.op == "call_module":
            made[node] = _of_module(modules[str(node.target)], node, made, cut)
        else:
            made[node] = _of_function(node, made)
    return openvino.Model([end], [entrance], "denoiser")


def _of_module(module: nn.Module, node: fx.Node, made: Mapping[fx.Node, Any], cut: Cut) -> Any:
    """Return a layer with weights."""
    (source,) = node.all_input_nodes
    if isinstance(module, nn.Identity):
        return made[source]
    if isinstance(module, nn.BatchNorm2d):
        return _normalised(module, made[source])
    if not isinstance(module, nn.Conv2d) or module.groups != 1:
        raise CheckpointError(
            f"the engine openvino does not know the layer {type(module).__name__} of this network; "
            "take the engine torch"
        )
    image, weight, bias = made[source], module.weight, module.bias
    stride, edge = int(module.stride[0]), int(module.padding[0])
    if _halves(source):
        (before,) = source.all_input_nodes
        return _convolved(made[before], _on_pixels(weight), bias, stride=2, edge=2, cut=cut)
    if edge and cut != UNCUT:
        image = ops.pad(image, [0, 0, *map(int, (cut.top, cut.left))],
                        [0, 0, *map(int, (cut.bottom, cut.right))], "edge")  # fmt: skip
    return _convolved(image, weight, bias, stride=stride, edge=edge, cut=cut)


def _convolved(
    image: Any, weight: Tensor, bias: Tensor | None, *, stride: int, edge: int, cut: Cut
) -> Any:
    """Return a convolution and what is added to each of its channels; uncut sides see black."""
    begin = [0 if side else edge for side in (cut.top, cut.left)]
    end = [0 if side else edge for side in (cut.bottom, cut.right)]
    made = ops.convolution(image, _numbers(weight), [stride, stride], begin, end, [1, 1])
    return made if bias is None else ops.add(made, _numbers(bias).reshape(1, -1, 1, 1))


def _halves(node: fx.Node) -> bool:
    """Return whether a node puts the four pixels of each 2 x 2 square behind one another."""
    is_unshuffle = node.target is functional.pixel_unshuffle
    return is_unshuffle and _setting(node, "downscale_factor") == 2


def _on_pixels(weight: Tensor) -> Tensor:
    """Return the same convolution as of (O, 4 C, 3, 3) on unshuffled pixels, as (O, C, 6, 6)."""
    outer, inner, height, width = weight.shape
    apart = weight.reshape(outer, inner // 4, 2, 2, height, width)
    return apart.permute(0, 1, 4, 2, 5, 3).reshape(outer, inner // 4, 2 * height, 2 * width)


def _normalised(norm: nn.BatchNorm2d, image: Any) -> Any:
    """Return channels scaled and shifted by the statistics of the training set."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise CheckpointError("a network that normalises by the frame itself cannot be used")
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    scaled = ops.multiply(image, _numbers(scale).reshape(1, -1, 1, 1))
    return ops.add(scaled, _numbers(shift).reshape(1, -1, 1, 1))


def _of_function(node: fx.Node, made: Mapping[fx.Node, Any]) -> Any:
    """Return an operation without weights."""
    if node.target not in _FUNCTIONS:
        raise CheckpointError(
            f"the engine openvino does not know the operation {node.target} of this network; take "
            "the engine torch"
        )
    return _FUNCTIONS[node.target](node, [made[source] for source in node.all_input_nodes])


def _doubled(node: fx.Node, images: list[Any]) -> Any:  # noqa: ARG001
    """Return an image with each pixel repeated."""
    return ops.interpolate(
        images[0],
        np.array([2.0, 2.0], np.float32),
        "nearest",
        "scales",
        axes=np.array([2, 3]),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _sum(node: fx.Node, images: list[Any]) -> Any:  # noqa: ARG001
    """Return the sum of two images, which may be the same."""
    return ops.add(images[0], images[-1])


_FUNCTIONS: Mapping[Any, Callable[[fx.Node, list[Any]], Any]] = {
    functional.relu: lambda node, images: ops.relu(images[0]),  # noqa: ARG005
    functional.leaky_relu: lambda node, images: ops.prelu(
        images[0], np.array([_setting(node, "negative_slope")], np.float32)
    ),
    functional.pixel_unshuffle: lambda node, images: ops.space_to_depth(
        images[0], "depth_first", _setting(node, "downscale_factor")
    ),
    functional.pixel_shuffle: lambda node, images: ops.depth_to_space(
        images[0], "depth_first", _setting(node, "upscale_factor")
    ),
    functional.interpolate: _doubled,
    operator.add: _sum,
    torch.cat: lambda node, images: ops.concat(images, 1),  # noqa: ARG005
}


def _setting(node: fx.Node, name: str) -> Any:
    """Return the one setting of an operation, given by its place or its name."""
    return node.args[1] if len(node.args) > 1 else node.kwargs[name]


def _numbers(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a tensor as numbers of single precision."""
    return np.ascontiguousarray(tensor.detach().float().numpy())
