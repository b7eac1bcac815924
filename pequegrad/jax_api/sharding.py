"""jax.sharding: meshes and shardings. There is one device: a mesh has it alone, and every sharding puts an array there whole."""

import contextlib
import enum
import functools
import math
import threading
from collections import OrderedDict

import numpy as np

from ..transforms.tree import flatten
from .shaped import Sharding, SingleDeviceSharding

__all__ = [
    "AbstractMesh", "AxisType", "Mesh", "NamedSharding", "PartitionSpec", "Sharding", "SingleDeviceSharding", "auto_axes",
    "explicit_axes", "get_abstract_mesh", "get_mesh", "make_single_device_sharding", "reshard", "set_mesh",
    "use_abstract_mesh",
]  # fmt: skip


# ---- meshes ----------------------------------------------------------------------------------------------


class AxisType(enum.Enum):
    """Who decides how an axis of a mesh is used."""

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()

    def __repr__(self):
        return self.name


class _MeshShape:
    """What meshes with and without devices have in common: named axes of sizes."""

    def _set_axes(self, sizes, names, types):
        names = (names,) if isinstance(names, str) else tuple(names)
        sizes = tuple(sizes)
        if len(names) != len(sizes):
            raise ValueError(f"A mesh with {len(sizes)} axes needs as many names, got {names}.")
        if len(set(names)) != len(names):
            raise ValueError(f"The names of a mesh's axes must be different, got {names}.")
        self.axis_names, self.axis_sizes = names, sizes
        if types is None:
            types = (AxisType.Auto,) * len(names)
        self.axis_types = (types,) * len(names) if isinstance(types, AxisType) else tuple(types)
        if len(self.axis_types) != len(names):
            raise ValueError(f"A mesh with {len(names)} axes needs as many axis_types, got {self.axis_types}.")

    shape = property(lambda self: OrderedDict(zip(self.axis_names, self.axis_sizes)), doc="Name -> size.")
    shape_tuple = property(lambda self: tuple(zip(self.axis_names, self.axis_sizes)), doc="(name, size) pairs.")
    size = property(lambda self: math.prod(self.axis_sizes) if self.axis_sizes else 0, doc="The number of devices.")
    empty = property(lambda self: self.size == 0, doc="True for the mesh without axes.")
    is_multi_process = property(lambda self: False, doc="False: there is one process.")

    def _of_type(self, kind):
        return tuple(name for name, t in zip(self.axis_names, self.axis_types) if t is kind)

    auto_axes = property(lambda self: self._of_type(AxisType.Auto), doc="The names of axes of type Auto.")
    explicit_axes = property(lambda self: self._of_type(AxisType.Explicit), doc="The names of axes of type Explicit.")
    manual_axes = property(lambda self: self._of_type(AxisType.Manual), doc="The names of axes of type Manual.")
    are_all_axes_auto = property(lambda self: all(t is AxisType.Auto for t in self.axis_types), doc="True if all are.")
    are_all_axes_explicit = property(
        lambda self: all(t is AxisType.Explicit for t in self.axis_types), doc="True if all are."
    )
    are_all_axes_manual = property(
        lambda self: all(t is AxisType.Manual for t in self.axis_types), doc="True if all are."
    )

    def _key(self):
        return self.axis_sizes, self.axis_names, self.axis_types

    def __hash__(self):
        return hash(self._key())

    def __eq__(self, other):
        return type(self) is type(other) and self._key() == other._key()

    def _axes_text(self):
        return ", ".join(f"{name!r}: {size}" for name, size in self.shape_tuple)


class Mesh(_MeshShape):
    """An array of devices with names for its axes; as a context manager it is the mesh that names refer to."""

    def __init__(self, devices, axis_names, axis_types=None):
        self.devices = np.asarray(devices, dtype=object)
        self._set_axes(self.devices.shape, axis_names, axis_types)

    device_ids = property(
        lambda self: np.array([d.id for d in self.devices.flat], int).reshape(self.devices.shape), doc="Their numbers."
    )
    local_devices = property(lambda self: list(self.devices.flat), doc="The devices, a list.")
    local_mesh = property(lambda self: self, doc="This mesh: there is one process.")
    abstract_mesh = property(
        lambda self: AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types), doc="This mesh without devices."
    )

    def update(self, devices=None, axis_names=None, axis_types=None):
        """This mesh with some fields replaced."""
        return Mesh(
            self.devices if devices is None else devices,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
        )

    def _key(self):
        return (*super()._key(), tuple(self.devices.flat))

    def __enter__(self):
        _current.meshes = [*_current.meshes, self]
        return self

    def __exit__(self, *exc):
        _current.meshes = _current.meshes[:-1]

    def __str__(self):
        return (
            f"Mesh({self._axes_text()}{', ' if self.axis_names else ''}axis_types={_types_text(self)})"
            if self.axis_names
            else "Mesh()"
        )

    def __repr__(self):
        return f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}, axis_types={_types_text(self)})"

    def __reduce__(self):
        return Mesh, (self.devices, self.axis_names, self.axis_types)


class AbstractMesh(_MeshShape):
    """A mesh without devices."""

    def __init__(self, axis_sizes, axis_names, axis_types=None, *, abstract_device=None):
        self._set_axes(axis_sizes, axis_names, axis_types)
        self.abstract_device = abstract_device

    abstract_mesh = property(lambda self: self, doc="This mesh.")

    def update(self, axis_sizes=None, axis_names=None, axis_types=None, **kwargs):
        """This mesh with some fields replaced."""
        return AbstractMesh(
            self.axis_sizes if axis_sizes is None else axis_sizes,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
            **{"abstract_device": self.abstract_device, **kwargs},
        )

    def update_axis_types(self, name_to_type):
        """This mesh with other types for some axes."""
        types = tuple(name_to_type.get(n, t) for n, t in zip(self.axis_names, self.axis_types))
        return self.update(axis_types=types)

    def __repr__(self):
        inner = self._axes_text() or "()"
        return f"AbstractMesh({inner}, axis_types={_types_text(self)})"


def _types_text(mesh):
    return f"({', '.join(t.name for t in mesh.axis_types)}{',' if len(mesh.axis_types) == 1 else ''})"


class _Current(threading.local):
    meshes = []  # entered with `with mesh` or set_mesh, the innermost last


_current = _Current()
_EMPTY = Mesh(np.empty((), object), ())
_EMPTY.devices = np.empty(0, object)


def get_mesh():
    """The mesh that set_mesh set; an empty one if there is none."""
    return _current.meshes[-1] if _current.meshes else _EMPTY


def get_abstract_mesh():
    """get_mesh without its devices."""
    return get_mesh().abstract_mesh


class set_mesh(contextlib.AbstractContextManager):
    """Sets the mesh that names of axes refer to; as a context manager only inside the with block."""

    def __init__(self, mesh):
        if not isinstance(mesh, (Mesh, type(None))):
            raise ValueError(f"set_mesh takes a Mesh, got {mesh!r}.")
        self.before = _current.meshes
        _current.meshes = [] if mesh is None else [*self.before, mesh]

    def __exit__(self, *exc):
        _current.meshes = self.before


class use_abstract_mesh(contextlib.AbstractContextManager):
    """Context manager: set_mesh for a mesh without devices."""

    def __init__(self, mesh):
        self.mesh = mesh

    def __enter__(self):
        self.before = _current.meshes
        _current.meshes = [*self.before, self.mesh]
        return self.mesh

    def __exit__(self, *exc):
        _current.meshes = self.before


def make_mesh(axis_shapes, axis_names, axis_types=None, *, devices=None):
    """A Mesh of this shape of the devices there are; axis_types: Explicit unless given."""
    from .placement import devices as all_devices

    found = list(all_devices() if devices is None else devices)
    wanted = math.prod(axis_shapes)
    if len(found) < wanted:
        raise ValueError(f"Number of devices {len(found)} must be >= the product of mesh_shape {tuple(axis_shapes)}")
    types = (AxisType.Explicit,) * len(axis_names) if axis_types is None else axis_types
    placed = np.empty(wanted, object)
    placed[:] = found[:wanted]
    return Mesh(placed.reshape(axis_shapes), axis_names, types)


# ---- shardings -------------------------------------------------------------------------------------------


class _Unconstrained:
    def __repr__(self):
        return "UNCONSTRAINED"


class PartitionSpec:
    """For each axis of an array the mesh axes along which it is divided: a name, a tuple of names, or None."""

    __slots__ = ("_partitions", "reduced", "unreduced")
    UNCONSTRAINED = _Unconstrained()

    def __init__(self, *partitions, unreduced=frozenset(), reduced=frozenset()):
        self._partitions = tuple(tuple(p) if isinstance(p, list) else p for p in partitions)
        self.unreduced, self.reduced = frozenset(unreduced), frozenset(reduced)

    partitions = property(lambda self: self._partitions, doc="The entries, a tuple.")

    def update(self, partitions=None, unreduced=None, reduced=None):
        """This one with some fields replaced."""
        return PartitionSpec(
            *(self._partitions if partitions is None else partitions),
            unreduced=self.unreduced if unreduced is None else unreduced,
            reduced=self.reduced if reduced is None else reduced,
        )

    def index(self, value):
        """The position of an entry."""
        return self._partitions.index(value)

    def count(self, value):
        """How often an entry occurs."""
        return self._partitions.count(value)

    def __len__(self):
        return len(self._partitions)

    def __getitem__(self, i):
        return self._partitions[i]

    def __iter__(self):
        return iter(self._partitions)

    def __add__(self, other):
        if not isinstance(other, (PartitionSpec, tuple)):
            return NotImplemented
        return PartitionSpec(*self, *other)

    def __radd__(self, other):
        return PartitionSpec(*other, *self) if isinstance(other, tuple) else NotImplemented

    def __eq__(self, other):
        return isinstance(other, PartitionSpec) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return self._partitions, self.unreduced, self.reduced

    def __repr__(self):
        parts = [repr(p) for p in self._partitions]
        parts += [f"{name}={set(getattr(self, name))}" for name in ("unreduced", "reduced") if getattr(self, name)]
        return f"P({', '.join(parts)}{',' if len(self._partitions) == 1 and len(parts) == 1 else ''})"

    def __reduce__(self):
        return PartitionSpec, self._partitions


P = PartitionSpec


def names_of(spec):
    """The mesh axes that a PartitionSpec names."""
    parts = [p for p in spec if p is not None and p is not PartitionSpec.UNCONSTRAINED]
    return [name for p in parts for name in (p if isinstance(p, tuple) else (p,))]


class NamedSharding(Sharding):
    """An array divided along the axes of a mesh as a PartitionSpec says."""

    __slots__ = ("mesh", "spec")

    def __init__(self, mesh, spec, *, memory_kind=None):
        if not isinstance(spec, PartitionSpec):
            raise TypeError(f"NamedSharding takes a PartitionSpec, got {spec!r}.")
        if unknown := [name for name in names_of(spec) if name not in mesh.axis_names]:
            raise ValueError(f"Resource axis: {unknown[0]} of {spec} is not found in mesh: {mesh.axis_names}.")
        if len(set(names_of(spec))) != len(names_of(spec)):
            raise ValueError(f"{spec} names a mesh axis twice.")
        self.mesh, self.spec = mesh, spec
        self._device = mesh.devices.flat[0] if isinstance(mesh, Mesh) and mesh.devices.size else None
        self.memory_kind = memory_kind or "device"

    def with_memory_kind(self, kind):
        """The same with another kind of memory."""
        return NamedSharding(self.mesh, self.spec, memory_kind=kind)

    def update(self, mesh=None, spec=None, memory_kind=None):
        """This one with some fields replaced."""
        return NamedSharding(
            mesh or self.mesh, self.spec if spec is None else spec, memory_kind=memory_kind or self.memory_kind
        )

    def shard_shape(self, global_shape):
        """The shape of a device's part; ValueError if the array cannot be divided so."""
        if len(self.spec) > len(global_shape):
            raise ValueError(
                f"{self.spec} is for arrays of at least {len(self.spec)} axes, not of shape {tuple(global_shape)}."
            )
        return tuple(global_shape)

    def __repr__(self):
        return f"NamedSharding(mesh={self.mesh}, spec={self.spec}, memory_kind={self.memory_kind})"

    def __eq__(self, other):
        return type(other) is NamedSharding and (self.mesh, self.spec, self.memory_kind) == (
            other.mesh, other.spec, other.memory_kind
        )  # fmt: skip

    def __hash__(self):
        return hash((self.mesh, self.spec, self.memory_kind))


def make_single_device_sharding(device, *, memory_kind=None):
    """The sharding of arrays that lie on `device`."""
    return SingleDeviceSharding(device, memory_kind=memory_kind)


def reshard(xs, out_shardings):
    """The arrays in xs under other shardings: they lie on the one device already."""
    from .placement import device_put

    return device_put(xs, out_shardings)


def with_sharding_constraint(x, shardings):
    """x: it is on the one device. What axes `shardings` names is checked."""
    _check_shardings(x, shardings)
    return x


def _check_shardings(x, shardings):
    for leaf in flatten(shardings)[0]:
        if not isinstance(leaf, (Sharding, PartitionSpec, type(None))) and not hasattr(leaf, "sharding"):
            raise ValueError(f"{leaf!r} is no sharding.")
        if isinstance(leaf, PartitionSpec) and (unknown := set(names_of(leaf)) - set(get_mesh().axis_names)):
            raise ValueError(f"There is no mesh with the axes {sorted(unknown)} here.")


def auto_axes(f=None, /, *, axes=None, out_sharding=None):
    """`f`, with `axes` of the mesh of type Auto inside; called with the keyword out_sharding."""
    return _axes_decorator(auto_axes, f, axes, "out_sharding", out_sharding)


def explicit_axes(f=None, /, *, axes=None, in_sharding=None):
    """`f`, with `axes` of the mesh of type Explicit inside; called with the keyword in_sharding."""
    return _axes_decorator(explicit_axes, f, axes, "in_sharding", in_sharding)


def _axes_decorator(which, f, axes, keyword, sharding):
    if f is None:
        return functools.partial(which, axes=axes, **{keyword: sharding})

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        kwargs.pop(keyword, sharding)
        return f(*args, **kwargs)

    return wrapped
