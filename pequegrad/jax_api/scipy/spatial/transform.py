"""jax.scipy.spatial.transform: rotations in three dimensions, as unit quaternions (x, y, z, w), and interpolation between them.

Shoemake, "Animating rotation with quaternion curves" (1985); Bernardes and Viollet, "Quaternion to Euler angles conversion" (2022).
"""

import math
from typing import Any, NamedTuple

from ... import numpy as jnp
from ...numpy.promotion import strong

_SMALL = 1e-3  # angles below which series are used


def _float_array(x):
    x = strong(jnp.asarray(x))
    return x if x.dtype.kind not in "biu" else x.astype(float)


def _norm(x):
    return jnp.sqrt(jnp.sum(x * x, axis=-1))


def _normalized(x):
    return x / _norm(x)[..., None]


def _parts(x):
    return [x[..., i] for i in range(x.shape[-1])]


def _stacked(*parts):
    return jnp.stack(parts, axis=-1)


def _product(p, q):
    """The quaternion of the rotation q, then p."""
    px, py, pz, pw = _parts(p)
    qx, qy, qz, qw = _parts(q)
    return _stacked(
        pw * qx + qw * px + (py * qz - pz * qy),
        pw * qy + qw * py + (pz * qx - px * qz),
        pw * qz + qw * pz + (px * qy - py * qx),
        pw * qw - px * qx - py * qy - pz * qz,
    )


def _axes(seq, counts):
    """(numbers of the axes that `seq` names, whether they turn with the body)"""
    if len(seq) not in counts:
        raise ValueError(f"Expected axis specification of {counts} characters, got {seq}")
    if not set(seq) <= set("xyz") and not set(seq) <= set("XYZ"):
        raise ValueError(f"Expected axes from `seq` to be from ['x', 'y', 'z'] or ['X', 'Y', 'Z'], got {seq}")
    if any(a == b for a, b in zip(seq, seq[1:])):
        raise ValueError(f"Expected consecutive axes to be different, got {seq}")
    return ["xyz".index(a) for a in seq.lower()], seq.isupper()


class Rotation(NamedTuple):
    """One rotation, with quaternion [4], or several, [n, 4]."""

    quat: Any

    @classmethod
    def concatenate(cls, rotations):
        """The rotations of a sequence, one after the other."""
        return cls(jnp.concatenate([rotation.quat for rotation in rotations]))

    @classmethod
    def from_euler(cls, seq, angles, degrees=False):
        """From angles [.., len(seq)] about axes: "xyz" in space, "XYZ" in the body, which turns."""
        axes, intrinsic = _axes(seq, (1, 2, 3))
        angles = jnp.atleast_1d(_float_array(angles))
        if angles.shape[-1] != len(axes):
            raise ValueError(f"Expected {len(axes)} angles in the last axis, got shape {angles.shape}.")
        angles = jnp.deg2rad(angles) if degrees else angles
        found = None
        for axis, angle in zip(axes, _parts(angles)):
            parts = [jnp.zeros_like(angle)] * 3 + [jnp.cos(angle / 2)]
            parts[axis] = jnp.sin(angle / 2)
            turn = _stacked(*parts)
            found = turn if found is None else _product(found, turn) if intrinsic else _product(turn, found)
        return cls(found)

    @classmethod
    def from_matrix(cls, matrix):
        """From matrices [.., 3, 3]."""
        m = _float_array(matrix)
        xx, yy, zz = (m[..., i, i] for i in range(3))
        trace = xx + yy + zz
        largest = jnp.argmax(_stacked(xx, yy, zz, trace), axis=-1)
        candidates = []
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            parts = [None] * 4
            parts[i] = 1 - trace + 2 * m[..., i, i]
            parts[j] = m[..., j, i] + m[..., i, j]
            parts[k] = m[..., k, i] + m[..., i, k]
            parts[3] = m[..., k, j] - m[..., j, k]
            candidates.append(_stacked(*parts))
        found = _stacked(
            m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1], 1 + trace
        )
        for i, candidate in enumerate(candidates):
            found = jnp.where((largest == i)[..., None], candidate, found)
        return cls(_normalized(found))

    @classmethod
    def from_mrp(cls, mrp):
        """From modified Rodrigues parameters [.., 3]: the axis times tan(angle / 4)."""
        mrp = _float_array(mrp)
        scale = jnp.sum(mrp * mrp, axis=-1, keepdims=True) + 1
        return cls(jnp.concatenate([2 * mrp, 2 - scale], axis=-1) / scale)

    @classmethod
    def from_quat(cls, quat):
        """From quaternions [.., 4], which are normalised."""
        return cls(_normalized(_float_array(quat)))

    @classmethod
    def from_rotvec(cls, rotvec, degrees=False):
        """From vectors [.., 3]: the axis times the angle."""
        rotvec = _float_array(rotvec)
        rotvec = jnp.deg2rad(rotvec) if degrees else rotvec
        angle = _norm(rotvec)
        square = angle * angle
        scale = jnp.where(angle <= _SMALL, 0.5 - square / 48 + square * square / 3840, jnp.sin(angle / 2) / angle)
        return cls(jnp.concatenate([scale[..., None] * rotvec, jnp.cos(angle / 2)[..., None]], axis=-1))

    @classmethod
    def identity(cls, num=None, dtype=float):
        """The rotation that leaves everything where it is; num must be None."""
        assert num is None
        return cls(jnp.array([0.0, 0.0, 0.0, 1.0], dtype=dtype))

    @classmethod
    def random(cls, random_key, num=None):
        """Not implemented, as in JAX."""
        raise NotImplementedError

    def __getitem__(self, indexer):
        if self.single:
            raise TypeError("Single rotation is not subscriptable.")
        return Rotation(self.quat[indexer])

    def __len__(self):
        if self.single:
            raise TypeError("Single rotation has no len().")
        return self.quat.shape[0]

    def __mul__(self, other):
        """The rotation `other`, then this one."""
        return Rotation.from_quat(_product(self.quat, other.quat))

    def apply(self, vectors, inverse=False):
        """Vectors [.., 3], turned; inverse: turned back."""
        matrix = self.as_matrix()
        matrix = jnp.where(jnp.asarray(inverse)[..., None, None], jnp.swapaxes(matrix, -1, -2), matrix)
        return jnp.matmul(matrix, jnp.asarray(vectors)[..., None])[..., 0]

    def as_euler(self, seq, degrees=False):
        """Angles [.., 3] about three axes, see from_euler. Where two axes coincide the third angle is 0."""
        axes, intrinsic = _axes(seq, (3,))
        i, j, k = axes[::-1] if intrinsic else axes
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        qi, qj, qk, w = (self.quat[..., n] for n in (i, j, k, 3))
        a, b, c, d = (w, qi, qj, qk * sign) if symmetric else (w - qj, qi + qk * sign, qj + w, qk * sign - qi)
        middle = 2 * jnp.arctan2(jnp.hypot(c, d), jnp.hypot(a, b))
        at_zero, at_pi = jnp.abs(middle) <= 1e-7, jnp.abs(middle - math.pi) <= 1e-7
        total, difference = jnp.arctan2(b, a), jnp.arctan2(d, c)
        degenerate = jnp.where(at_zero, 2 * total, 2 * difference * (1 if intrinsic else -1))
        regular = ~(at_zero | at_pi)
        first, third = total - difference, total + difference  # about axis i, about axis k
        if intrinsic:
            angles = [jnp.where(regular, third, degenerate), middle, jnp.where(regular, first, 0)]
            last = 0
        else:
            angles = [jnp.where(regular, first, degenerate), middle, jnp.where(regular, third, 0)]
            last = 2
        if not symmetric:
            angles[last] = angles[last] * sign
            angles[1] = angles[1] - math.pi / 2
        found = (_stacked(*angles) + math.pi) % (2 * math.pi) - math.pi
        return jnp.rad2deg(found) if degrees else found

    def as_matrix(self):
        """Matrices [.., 3, 3]."""
        x, y, z, w = _parts(self.quat)
        xx, yy, zz, ww = x * x, y * y, z * z, w * w
        xy, zw, xz, yw, yz, xw = x * y, z * w, x * z, y * w, y * z, x * w
        rows = (
            _stacked(xx - yy - zz + ww, 2 * (xy - zw), 2 * (xz + yw)),
            _stacked(2 * (xy + zw), -xx + yy - zz + ww, 2 * (yz - xw)),
            _stacked(2 * (xz - yw), 2 * (yz + xw), -xx - yy + zz + ww),
        )
        return jnp.stack(rows, axis=-2)

    def as_mrp(self):
        """Modified Rodrigues parameters [.., 3], of the shorter way."""
        sign = jnp.where(self.quat[..., 3:] < 0, -1.0, 1.0)
        return sign * self.quat[..., :3] / (1.0 + sign * self.quat[..., 3:])

    def as_rotvec(self, degrees=False):
        """Vectors [.., 3]: the axis times the angle, of the shorter way."""
        quat = jnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        angle = 2.0 * jnp.arctan2(_norm(quat[..., :3]), quat[..., 3])
        square = angle * angle
        scale = jnp.where(angle <= _SMALL, 2 + square / 12 + 7 * square * square / 2880, angle / jnp.sin(angle / 2))
        scale = jnp.rad2deg(scale) if degrees else scale
        return scale[..., None] * quat[..., :3]

    def as_quat(self, canonical=False, scalar_first=False):
        """Quaternions [.., 4]; canonical: of the two that are one rotation the one whose last part that is not 0 is positive
        (w, then x, y, z). scalar_first: (w, x, y, z)."""
        quat = self.quat
        if canonical:
            x, y, z, w = _parts(quat)
            flip = z < 0
            for part in (y, x, w):
                flip = (part < 0) | ((part == 0) & flip)
            quat = jnp.where(flip[..., None], -quat, quat)
        return jnp.roll(quat, shift=1, axis=-1) if scalar_first else quat

    def inv(self):
        """The rotations back."""
        return Rotation(self.quat * jnp.array([-1, -1, -1, 1], dtype=self.quat.dtype))

    def magnitude(self):
        """The angles, from 0 to pi."""
        return 2.0 * jnp.arctan2(_norm(self.quat[..., :3]), jnp.abs(self.quat[..., 3]))

    def mean(self, weights=None):
        """The rotation with the least sum of (weighted) squared distances to these."""
        dtype = self.quat.dtype
        w = jnp.ones(self.quat.shape[0], dtype) if weights is None else jnp.asarray(weights, dtype=dtype)
        if w.ndim != 1:
            raise ValueError(f"Expected `weights` to be 1 dimensional, got shape {w.shape}.")
        if w.shape[0] != len(self):
            raise ValueError(
                f"Expected `weights` to have number of values equal to number of rotations, got {w.shape[0]} values and "
                f"{len(self)} rotations."
            )
        vectors = jnp.linalg.eigh(jnp.dot(w[None, :] * self.quat.T, self.quat))[1]
        return Rotation(vectors[:, -1])

    @property
    def single(self):
        """Whether this is one rotation, not several."""
        return self.quat.ndim == 1


class Slerp(NamedTuple):
    """Interpolation between rotations, at constant speed from each to the next. Made by Slerp.init(times, rotations)."""

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times, rotations):
        """From times [n], increasing, and n rotations."""
        if not isinstance(rotations, Rotation):
            raise TypeError("`rotations` must be a `Rotation` instance.")
        if rotations.single or len(rotations) == 1:
            raise ValueError("`rotations` must be a sequence of at least 2 rotations.")
        times = jnp.asarray(times, dtype=rotations.quat.dtype)
        if times.ndim != 1:
            raise ValueError(f"Expected times to be specified in a 1 dimensional array, got {times.ndim} dimensions.")
        if times.shape[0] != len(rotations):
            raise ValueError(
                "Expected number of rotations to be equal to number of timestamps given, got "
                f"{len(rotations)} rotations and {times.shape[0]} timestamps."
            )
        first, second = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        return cls(times, jnp.diff(times), first, (first.inv() * second).as_rotvec())

    def __call__(self, times):
        """The rotations at these times [m], or the one at one time."""
        times = jnp.asarray(times, dtype=self.times.dtype)
        if times.ndim > 1:
            raise ValueError("`times` must be at most 1-dimensional.")
        at = jnp.atleast_1d(times)
        i = jnp.maximum(jnp.searchsorted(self.times, at) - 1, 0)
        part = (at - self.times[i]) / self.timedelta[i]
        found = self.rotations[i] * Rotation.from_rotvec(self.rotvecs[i] * part[:, None])
        return found if times.ndim else found[0]


__all__ = ["Rotation", "Slerp"]
