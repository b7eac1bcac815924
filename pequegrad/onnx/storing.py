"""How a model that was written is checked and put into files: one, or, beyond what protobuf holds, one with its weights beside it."""

import contextlib
import os
import shutil
import tempfile

import numpy as np

from ..core.errors import ArgumentError
from .reading import onnx_package
from .values import element_type_of

MOST_BYTES = 1_900_000_000  # a protobuf message holds 2 GiB
_SMALL = 1024  # bytes: smaller arrays, shapes among them, stay in the model
_ALIGNMENT = 4096


def is_outside(external_data, path, arrays):
    """Whether weights go into a file of their own; ArgumentError if they cannot stay, and there is no path."""
    size = sum(array.nbytes for array in arrays.values())
    outside = size > MOST_BYTES if external_data is None else bool(external_data)
    if outside and path is None:
        raise ArgumentError(
            f"export: weights of {size:,} bytes go into a file beside the model's.", fix="give path='model.onnx'."
        )
    if not outside and size > MOST_BYTES:
        raise ArgumentError(
            f"export: weights of {size:,} bytes do not fit into one file.", fix="leave out external_data=False."
        )
    return outside


def add_initializers(model, arrays):
    onnx = onnx_package()
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())


def write(model, path):
    """Puts a file in place when it is complete."""
    with _beside(path) as (folder, name):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(model.SerializeToString())
        os.replace(os.path.join(folder, name), path)


def write_with_data(model, arrays, path, verify):
    """Writes the model with `arrays` as initialisers in path.data, calls verify(path of the complete model), and puts both in place."""
    onnx = onnx_package()
    with _beside(path) as (folder, name):
        unfinished = os.path.join(folder, name)
        inside = {n: array for n, array in arrays.items() if array.nbytes < _SMALL}
        add_initializers(model, inside)
        with open(f"{unfinished}.data", "wb") as file:
            for n, array in arrays.items():
                if n not in inside:
                    file.write(bytes(-file.tell() % _ALIGNMENT))
                    entries = {"location": f"{name}.data", "offset": file.tell(), "length": array.nbytes}
                    file.write(np.ascontiguousarray(array).data if array.dtype.kind in "biuf" else array.tobytes())
                    tensor = model.graph.initializer.add(
                        name=n, data_type=element_type_of(array.dtype), dims=array.shape
                    )
                    tensor.data_location = onnx.TensorProto.EXTERNAL
                    for key, value in entries.items():
                        tensor.external_data.add(key=key, value=str(value))
        with open(unfinished, "wb") as file:
            file.write(model.SerializeToString())
        check(model, unfinished)
        verify(unfinished)
        _put_in_place(unfinished, path)


def _put_in_place(unfinished, path):
    """A model and its data, in place of older ones: the older model goes first, so that nobody finds it beside the new data."""
    older = f"{unfinished}.older"
    replaces = os.path.exists(path) and os.path.exists(f"{path}.data")
    if replaces:
        os.replace(path, older)
    try:
        os.replace(f"{unfinished}.data", f"{path}.data")
    except OSError:
        if replaces:
            os.replace(older, path)
        raise
    os.replace(unfinished, path)


@contextlib.contextmanager
def _beside(path):
    """(a new folder beside a file, which goes at the end, and the file's name)"""
    folder, name = os.path.split(os.path.abspath(path))
    made = tempfile.mkdtemp(prefix=f".{name}.", dir=folder)
    try:
        yield made, name
    finally:
        shutil.rmtree(made)


def check(model, path=None):
    """onnx.checker, on the file if there is one, with shape inference; ArgumentError, which is our mistake, if it finds one."""
    onnx = onnx_package()
    try:
        onnx.checker.check_model(path or model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        if "unsupported type" in str(error):
            raise NotImplementedError(f"export: an operator of ONNX does not take this dtype: {error}") from None
        raise ArgumentError(f"export: the checker of onnx refuses the model: {error}") from error
