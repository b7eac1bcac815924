"""Nodes that were written, and protobuf messages of them."""

from ..values import element_type_of
from .sizes import Varying


class Record:
    """A node that was written."""

    __slots__ = ("attributes", "inputs", "op", "outputs")

    def __init__(self, op, inputs, outputs, attributes):
        self.op, self.inputs, self.outputs, self.attributes = op, inputs, outputs, attributes


def info(name, dtype, shape):
    """A ValueInfoProto; sizes that vary are left open."""
    from onnx import helper

    shape = [None if isinstance(n, Varying) else n for n in shape]
    return helper.make_tensor_value_info(name, element_type_of(dtype), shape)


def needed(records, results):
    """The records that the results, and the subgraphs of needed records, depend on."""
    from onnx import GraphProto

    wanted, found = set(results), []

    def read(graph):
        for node in graph.node:
            wanted.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    read(attribute.g)
        wanted.update(v.name for v in graph.output)

    for record in reversed(records):
        if wanted.isdisjoint(record.outputs):
            continue
        found.append(record)
        wanted.update(record.inputs)
        for value in record.attributes.values():
            if isinstance(value, GraphProto):
                read(value)
    return found[::-1]


def protos(records):
    """NodeProtos of records; a node has the name of its first result."""
    from onnx import helper

    return [helper.make_node(r.op, r.inputs, r.outputs, name=r.outputs[0], **r.attributes) for r in records]
