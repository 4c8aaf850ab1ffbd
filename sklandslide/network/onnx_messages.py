"""The messages that an ONNX file consists of, for Protocol Buffers, which TensorFlow brings along.

What is here is the part of ``onnx.proto`` that a network of `build_cnn` needs, with its numbers; the package onnx would
be 18 MB more. See https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

# Of each message the fields: number, name, type; a star where there may be several.
_MESSAGES = {
    "AttributeProto": "1 name string, 3 i int64, 4 s bytes, 8 ints int64*, 20 type int32",
    "NodeProto": "1 input string*, 2 output string*, 3 name string, 4 op_type string, 5 attribute AttributeProto*",
    "TensorProto": "1 dims int64*, 2 data_type int32, 8 name string, 9 raw_data bytes",
    "Dimension": "1 dim_value int64, 2 dim_param string",
    "TensorShapeProto": "1 dim Dimension*",
    "Tensor": "1 elem_type int32, 2 shape TensorShapeProto",
    "TypeProto": "1 tensor_type Tensor",
    "ValueInfoProto": "1 name string, 2 type TypeProto",
    "GraphProto": "1 node NodeProto*, 2 name string, 5 initializer TensorProto*, 11 input ValueInfoProto*, "
    "12 output ValueInfoProto*",
    "OperatorSetIdProto": "1 domain string, 2 version int64",
    "StringStringEntryProto": "1 key string, 2 value string",
    "ModelProto": "1 ir_version int64, 2 producer_name string, 7 graph GraphProto, 8 opset_import OperatorSetIdProto*, "
    "14 metadata_props StringStringEntryProto*",
}
_FLOAT, _INT64 = 1, 7  # of elements
_INT, _STRING, _INTS = 2, 3, 7  # of attributes


@cache
def _classes() -> dict[str, Any]:
    """A class for each message."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="onnx", package="onnx", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, called, kind = field.split()
            label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _MESSAGES:
                of = {"type": kinds.TYPE_MESSAGE, "type_name": f".onnx.{kind}"}
            else:
                of = {"type": kinds.Type.Value(f"TYPE_{kind.upper()}")}
            message.field.add(number=int(number), name=called, label=label, **of)
    pool = descriptor_pool.DescriptorPool()  # its own: the package onnx may be there too
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"onnx.{name}")) for name in _MESSAGES}


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    """A node with one output; attributes are a whole number, several, or text."""
    make = _classes()
    told = []
    for name, value in sorted(attributes.items()):
        if isinstance(value, str):
            given = {"s": value.encode(), "type": _STRING}
        elif isinstance(value, int):
            given = {"i": value, "type": _INT}
        else:
            given = {"ints": value, "type": _INTS}
        told.append(make["AttributeProto"](name=name, **given))
    return make["NodeProto"](op_type=kind, input=inputs, output=[output], attribute=told)


def tensor(name: str, values: np.ndarray) -> Any:
    """A constant: float32 or int64."""
    values = np.ascontiguousarray(values)
    kind = {"f": _FLOAT, "i": _INT64}[values.dtype.kind]
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return _classes()["TensorProto"](name=name, dims=values.shape, data_type=kind, raw_data=little.tobytes())


def described(name: str, shape: Sequence[int | str]) -> Any:
    """An input or output of float32; what varies in its shape has a name."""
    make = _classes()
    dims = [make["Dimension"](**{"dim_param" if isinstance(n, str) else "dim_value": n}) for n in shape]
    of = make["Tensor"](elem_type=_FLOAT, shape=make["TensorShapeProto"](dim=dims))
    return make["ValueInfoProto"](name=name, type=make["TypeProto"](tensor_type=of))


def whole_file(
    nodes: Sequence[Any],
    constants: Sequence[Any],
    taken: Any,
    given: Sequence[Any],
    metadata: Mapping[str, str],
) -> bytes:
    """A whole file, of opset 18."""
    make = _classes()
    graph = make["GraphProto"](name="landslide_cnn", node=nodes, initializer=constants, input=[taken], output=given)
    return make["ModelProto"](
        ir_version=8,
        producer_name="sklandslide",
        graph=graph,
        opset_import=[make["OperatorSetIdProto"](domain="", version=18)],
        metadata_props=[make["StringStringEntryProto"](key=k, value=v) for k, v in metadata.items()],
    ).SerializeToString(deterministic=True)
