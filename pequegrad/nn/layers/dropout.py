"""Dropout, of elements and of channels. In evaluation mode y = x."""

from .. import functional as F
from ..layer import Layer, check_probability, refuse_inplace


class Dropout(Layer):
    """In training mode, elements of x are set to 0 with probability p and the others divided by 1 - p; else y = x.

    >>> Dropout(0.5).eval()(pg.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    function = staticmethod(F.dropout)

    def __init__(self, p=0.5, inplace=False):
        check_probability(type(self).__name__, p)
        refuse_inplace(type(self).__name__, inplace)
        self.p = p

    def forward(self, input):
        return self.function(input, self.p, self.training)

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class Dropout1d(Dropout):
    """Dropout of whole channels of x [N, C, L] (Tompson et al., 2015).

    >>> Dropout1d()(pg.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(Dropout):
    """Dropout of whole channels of x [N, C, H, W] (Tompson et al., 2015).

    >>> Dropout2d()(pg.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(Dropout):
    """Dropout of whole channels of x [N, C, D, H, W] (Tompson et al., 2015).

    >>> Dropout3d()(pg.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    function = staticmethod(F.dropout3d)


__all__ = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]
