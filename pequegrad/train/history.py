"""What a training run measured: a row per epoch, as a table, files and curves."""

import csv
import io
import json
import math

from ..core.errors import ArgumentError, MissingPackageError
from ..core.files import write_atomically


class History:
    """Rows (dicts) of a run, one for each epoch: epoch, step, loss, validation loss and metrics, seconds."""

    def __init__(self, rows=()):
        self.rows = list(rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        """A row by its number, or the list of values in a column by its name."""
        if not isinstance(key, str):
            return self.rows[key]
        if not any(key in row for row in self.rows):
            raise ArgumentError(f"History has no column {key!r}.", fix=f"its columns are {', '.join(self.columns())}.")
        return [row.get(key, math.nan) for row in self.rows]

    def columns(self):
        """The names of what was measured, in the order in which they appeared."""
        return list(dict.fromkeys(key for row in self.rows for key in row))

    def best(self, key="loss"):
        """The row with the smallest value in a column."""
        values = self[key]
        return self.rows[min(range(len(values)), key=lambda i: math.inf if math.isnan(values[i]) else values[i])]

    def __str__(self):
        columns = self.columns()
        cells = [columns] + [[shown(row.get(key)) for key in columns] for row in self.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        return "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths)) for line in cells)

    __repr__ = __str__

    # ---- files -----------------------------------------------------------------------------------------

    def save_csv(self, path):
        """Writes the rows as comma-separated values."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns())
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(path, text.getvalue().encode())

    def save_json(self, path):
        """Writes the rows as a JSON list."""
        write_atomically(path, json.dumps(self.rows, indent=1).encode())

    def plot(self, path):
        """Draws the losses (with the validation's), and each metric below, over the epochs, as a picture. Needs matplotlib."""
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            raise MissingPackageError("Curves need the package matplotlib.", fix="pip install matplotlib.") from None
        pairs = _panels(self.columns())
        figure = Figure(figsize=(6, 1 + 2.4 * len(pairs)), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (title, keys) in zip(figure.subplots(len(pairs), 1, sharex=True, squeeze=False)[:, 0], pairs):
            for key in keys:
                colour = "C1" if key.startswith("validation_") else "C0"
                axes.plot(self["epoch"], self[key], colour, marker="o", markersize=3, label=key.replace("_", " "))
            axes.set_ylabel(title if len(keys) > 1 else keys[0].replace("_", " "))
            axes.grid(alpha=0.3)
            if len(keys) > 1:
                axes.legend(frameon=False)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        text = io.BytesIO()
        figure.savefig(text, format="png", dpi=120)
        write_atomically(path, text.getvalue())


def _panels(columns):
    """(title, columns) of each picture: the losses, then each metric."""
    measured = [key for key in columns if key not in ("epoch", "step", "seconds", "lr")]
    names = dict.fromkeys(key.removeprefix("validation_") for key in measured)
    return [(name, [key for key in measured if key.removeprefix("validation_") == name]) for name in names]


def shown(value):
    """A value in few characters."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
