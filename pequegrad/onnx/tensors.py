"""From TensorProtos to NumPy arrays, also of external data."""

import os

import numpy as np

from ..core.dtype import canonical
from ..core.errors import PequegradError
from .values import DTYPES, NAMES, STRING

_AGAIN = "the file may be truncated, or belong to another model: copy or export both again."
_LARGEST = 1 << 34  # elements of a tensor: more is no model, but an attack
_LARGEST_SPARSE = 1 << 28  # elements of one that a small file can ask for


class Tensors:
    """Reads tensors. folder: where external data lies, or None; fail(text) raises."""

    def __init__(self, onnx, folder, fail):
        self.onnx, self.folder, self.fail = onnx, folder, fail

    def array(self, t):
        """The NumPy array of a TensorProto; strings as Python's."""
        shape = tuple(t.dims)
        if any(n < 0 for n in shape) or np.prod([float(n) for n in shape]) > _LARGEST:
            self.fail(f"Tensor {t.name!r} has the impossible shape {list(shape)}.")
        if t.data_type == STRING:
            found = np.array([self.text(s) for s in t.string_data], object)
        elif t.data_location == self.onnx.TensorProto.EXTERNAL:
            found = np.frombuffer(self.external(t), self._dtype(t))
        else:
            try:
                found = self.onnx.numpy_helper.to_array(t)
            except Exception as error:
                self.fail(f"Tensor {t.name!r} cannot be read: {error}.")
            if t.data_type not in DTYPES:
                return found  # of a dtype that only some operators know (float8, int4)
            found = np.asarray(found).astype(self._dtype(t), copy=False)
        if found.size != np.prod(shape, dtype=np.int64):
            self.fail(f"Tensor {t.name!r} has {found.size} elements, its shape is {list(shape)}.")
        try:
            return found.reshape(shape)
        except ValueError as error:
            return self.fail(f"Tensor {t.name!r} has the impossible shape {list(shape)}: {error}.")

    def _dtype(self, t):
        if t.data_type not in DTYPES:
            self.fail(f"Tensor {t.name!r} has element type {NAMES.get(t.data_type, t.data_type)}.")
        return canonical(DTYPES[t.data_type])

    def external(self, t):
        """The bytes of a tensor in a file of its own, which must lie in the model's folder."""
        entries = {e.key: e.value for e in t.external_data}
        location = entries.get("location", "")
        if self.folder is None:
            self.fail(f"Tensor {t.name!r} is in the file {location!r}: load the model by its path.")
        if "\0" in location:
            self.fail(f"Tensor {t.name!r} is in {location!r}, which is no file in the model's folder.")
        path = os.path.realpath(os.path.join(self.folder, location))
        root = os.path.realpath(self.folder)
        if os.path.isabs(location) or os.path.commonpath([root, path]) != root or not os.path.isfile(path):
            self.fail(
                f"Tensor {t.name!r} is in {location!r}, which is no file in the model's folder.",
                fix="keep the model and the file of its data in one folder.",
            )
        try:
            offset, length = int(entries.get("offset", 0)), entries.get("length")
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = size - offset if length is None else int(length)
                if offset < 0 or length < 0 or offset + length > size:
                    end = offset + length
                    self.fail(
                        f"Tensor {t.name!r} reaches to byte {end:,} of {location!r}, which has {size:,}.", fix=_AGAIN
                    )
                file.seek(offset)
                data = file.read(length)
        except PequegradError:
            raise
        except (OSError, ValueError) as error:
            self.fail(f"Tensor {t.name!r} cannot be read from {location!r}: {error}.")
        itemsize = self._dtype(t).itemsize
        if length % itemsize or length // itemsize != np.prod(tuple(t.dims), dtype=np.int64):
            self.fail(f"Tensor {t.name!r} has {length} bytes in {location!r}, its shape is {list(t.dims)}.")
        return data

    def sparse(self, message):
        """The dense array of a SparseTensorProto."""
        values, indices, shape = self.array(message.values), self.array(message.indices), tuple(message.dims)
        if any(n < 0 for n in shape) or np.prod([float(n) for n in shape]) > _LARGEST_SPARSE:
            self.fail(f"A sparse tensor has the impossible shape {list(shape)}.")
        found = np.zeros(shape, values.dtype)
        try:
            if indices.ndim == 1:
                found.reshape(-1)[indices] = values
            else:
                found[tuple(indices.T)] = values
        except (IndexError, ValueError) as error:
            self.fail(f"A sparse tensor has wrong indices: {error}.")
        return found

    def text(self, data):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return self.fail(f"{data[:20]!r} is no text.")
