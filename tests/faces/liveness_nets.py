"""Tiny networks of known answers, as real ONNX files with their records: what liveness tests plug in."""

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (32, 32)


def write_net(folder, *, weights, bias, name="tiny", size=SIZE, tail=(), input_size=None):
    """A network whose outputs are `weights` (C, 3) times the mean of each input channel, plus `bias` (C,)."""
    weights, bias = np.array(weights, np.float32), np.array(bias, np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["gemm"], transB=1),
    ]
    last = "gemm"
    for number, kind in enumerate(tail):
        nodes.append(helper.make_node(kind, [last], [f"tail{number}"]))
        last = f"tail{number}"
    height, width = input_size or size
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, len(bias)])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def write_record(path, **changes):
    """A record beside the network at `path`; `changes` replace fields, and None takes one out."""
    record = {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "input": {"channels": "RGB", "range": 1, "mean": [0, 0, 0]},
        "size": list(SIZE),
        "liveness": {"scale": 2.0, "live": 0, "activation": "softmax", "threshold": 0.5},
    }
    record |= changes
    out = path.with_suffix(".json")
    out.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))
    return out


def bright_is_live(folder):
    """The record of a network for which whatever is bright (mean luma over 0.2) is alive, and all else a picture."""
    third = 1 / 3
    path = write_net(folder, weights=[[80 * third] * 3, [0, 0, 0]], bias=[-80 * 0.2, 0], name="bright")
    return write_record(path)
