"""fit: the training loop, with validation, early stopping, checkpoints, a log and curves."""

import math
import os
import sys
import time

from ..core.errors import ArgumentError, NonFiniteError
from ..core.tensor import Tensor
from ..ops.random import get_rng_state, set_rng_state
from ..optim.optimizer import Optimizer
from ..transforms.gradients import grads, no_grad
from ..transforms.jit import jit
from ..transforms.tree import flatten
from .checkpoints import Checkpoints
from .history import History, shown


def fit(model, optimizer, data, loss, *, epochs=1, steps=None, validation=None, metrics=None, patience=None, folder=None,
        save_every=None, keep=3, resume=True, progress=True):  # fmt: skip
    """Trains a module and returns the History, a row for each epoch.

    data: an iterable of batches (tuples of arrays or tensors), gone through once per epoch: a DataLoader, a list.
    loss(model, *batch) -> 0-d tensor. The step (loss, gradients, optimiser) is one jitted program.
    steps: ends the training after so many in all, also within an epoch.
    validation: batches on which loss and metrics are measured after each epoch, in evaluation mode, without gradients.
    metrics: {"accuracy": function(model, *batch) -> 0-d tensor}; means over the examples (without validation: of the data).
    patience: stops after so many epochs without a better validation loss, and takes the best parameters back.
    folder: where checkpoints (the last `keep`; after each epoch, and each `save_every` steps), log.csv, log.json and, with matplotlib,
    curves.png go. resume: goes on from the last good checkpoint there: what follows is as if there had been no interruption.
    progress: a bar (with tqdm), else a line per epoch. NonFiniteError if the loss is nan or infinite.

    >>> history = pg.train.fit(model, optim.Adam(model.parameters()), loader, lambda m, x, y: m(x).cross_entropy_loss_indices(y), epochs=3)
    """
    _check_optimizer(model, optimizer)
    run = _Run(model, optimizer, data, loss, metrics or {}, validation, folder, keep)
    _check(epochs, steps, patience, save_every, validation)
    if folder is not None and resume:
        run.resume()
    while run.epoch < epochs and not (steps is not None and run.step >= steps) and not run.is_over(patience):
        run.one_epoch(epochs, steps, save_every, progress)
    if patience is not None and run.best is not None:
        model.load_state_dict(run.best)
    return run.history


def evaluate(model, data, functions):
    """{name: mean over all examples of `data` of function(model, *batch)}, in evaluation mode and without gradients."""
    return _Evaluation(model, functions)(data)


def _check_optimizer(model, optimizer):
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"fit: the optimiser is {optimizer!r}.", fix="make one: optim.Adam(model.parameters(), lr=1e-3)."
        )
    own = set(map(id, model.parameters()))
    if not any(id(tensor) in own for tensor in optimizer.parameters):
        raise ArgumentError(
            "fit: the optimiser has none of the model's parameters: nothing would be trained.",
            fix="make it with model.parameters(), after what replaces them (loading does not).",
        )


def _check(epochs, steps, patience, save_every, validation):
    for name, value in (("epochs", epochs), ("steps", steps), ("patience", patience), ("save_every", save_every)):
        if value is not None and (not isinstance(value, int) or value < (1 if name != "epochs" else 0)):
            raise ArgumentError(f"fit: {name}={value!r} is not a positive number.")
    if patience is not None and validation is None:
        raise ArgumentError("fit: patience needs validation data.", fix="give validation=, or leave patience out.")


class _Evaluation:
    """Measures functions of a model on batches, with one jitted program."""

    def __init__(self, model, functions):
        self.model, self.names = model, list(functions)
        self.measure = jit(lambda *batch: [functions[name](model, *batch) for name in self.names])

    def __call__(self, data):
        totals, count, mode = [0.0] * len(self.names), 0, self.model._training
        self.model.eval()
        try:
            with no_grad():
                for batch in data:
                    batch = _as_tuple(batch)
                    n = _examples(batch)
                    totals = [t + n * float(v.item()) for t, v in zip(totals, self.measure(*batch))]
                    count += n
        finally:
            self.model.train(mode)
        if not count:
            raise ArgumentError("evaluate: the data has no batches.")
        return {name: total / count for name, total in zip(self.names, totals)}


class _Run:
    """A training run: where it stands, and what goes on from there."""

    def __init__(self, model, optimizer, data, loss, metrics, validation, folder, keep):
        self.model, self.optimizer, self.data, self.folder = model, optimizer, data, folder
        self.validation = validation
        self.epoch = self.step = self.position = 0  # epochs and steps that are done; position: batches of this epoch
        self.total = 0.0  # of the losses of this epoch
        self.seconds = 0.0
        self.history, self.best, self.best_loss, self.stale = History(), None, math.inf, 0
        self.checkpoints = None if folder is None else Checkpoints(folder, keep)
        self.evaluation = _Evaluation(model, {"loss": loss, **metrics} if validation is not None else metrics)

        def train_step(*batch):
            value = loss(model, *batch)
            parameters = model.parameters()
            optimizer.step(grads(parameters, value))
            return value

        self.train_step = jit(train_step)

    def is_over(self, patience):
        """True if validation has not become better for too long."""
        return patience is not None and self.stale >= patience

    def one_epoch(self, epochs, steps, save_every, progress):
        """The rest of an epoch."""
        self.model.train()
        begin = time.perf_counter()
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(self.epoch)
        batches = self._rest_of_the_epoch()
        with _Bar(self, epochs, progress) as bar:
            while whole := steps is None or self.step < steps:
                batch = next(batches, None)  # asked for when it is needed: a loader's state counts what it gave
                if batch is None:
                    break
                self._one_step(_as_tuple(batch))
                bar.advance(self.total / self.position)
                if self.folder is not None and save_every is not None and self.step % save_every == 0:
                    self.save()
        if not whole and hasattr(self.data, "__len__") and self.position == len(self.data):
            whole = next(batches, None) is None  # it ended with the last step
        batches.close()
        if not self.position:
            raise ArgumentError(
                "fit: the data has no batches.",
                fix="an iterator is used up after one epoch: give a list or a DataLoader.",
            )
        self.seconds += time.perf_counter() - begin
        self._finish_epoch(whole)
        if progress and bar.bar is None:
            print(", ".join(f"{key} {shown(value)}" for key, value in self.history[-1].items()))

    def _rest_of_the_epoch(self):
        """The batches that are not done: a loader that can begins there, of other data the first ones are passed over."""
        done = 0 if hasattr(self.data, "load_state_dict") else self.position
        for number, batch in enumerate(self.data):
            if number >= done:
                yield batch

    def _one_step(self, batch):
        value = self.train_step(*batch)
        if not isinstance(value, Tensor) or value.shape:
            raise ArgumentError("fit: loss(model, *batch) must give a 0-d tensor.", fix="take the mean over the batch.")
        value = value.item()
        if not math.isfinite(value):
            raise NonFiniteError(
                f"The loss is {value} at step {self.step + 1} (epoch {self.epoch + 1}).",
                fix="use a smaller learning rate or clip gradients; jit(f, check=True) finds the operation.",
            )
        self.step += 1
        self.position += 1
        self.total += value

    def _finish_epoch(self, whole):
        """Notes what the epoch gave; one that `steps` cut short may be gone on with."""
        row = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "loss": self.total / self.position,
            "seconds": round(self.seconds, 3),
        }
        if self.evaluation.names:
            data, prefix = (self.validation, "validation_") if self.validation is not None else (self.data, "")
            row.update((prefix + name, value) for name, value in self.evaluation(data).items())
        self.history.rows[self.epoch :] = [row]
        if self.validation is not None:
            self._compare(row["validation_loss"])
        if whole:
            self.epoch += 1
            self.position, self.total = 0, 0.0
        if self.folder is not None:
            self.save()
            self._write_log()

    def _compare(self, value):
        if value < self.best_loss:
            self.best_loss, self.stale = value, 0
            self.best = {name: tensor.numpy().copy() for name, tensor in self.model.state_dict().items()}
        else:
            self.stale += 1

    # ---- files -----------------------------------------------------------------------------------------

    def _write_log(self):
        self.history.save_csv(os.path.join(self.folder, "log.csv"))
        self.history.save_json(os.path.join(self.folder, "log.json"))
        try:
            import matplotlib  # noqa: F401
        except ModuleNotFoundError:
            return
        self.history.plot(os.path.join(self.folder, "curves.png"))

    _COUNTERS = ("epoch", "step", "position", "total", "seconds", "best_loss", "stale")

    def save(self):
        """Writes a checkpoint of everything that decides what follows."""
        self.checkpoints.save(
            self.step,
            {
                "model": self.model,
                "optimizer": self.optimizer,
                "data": self.data if hasattr(self.data, "state_dict") else None,
                "random": get_rng_state(),
                "run": {name: getattr(self, name) for name in self._COUNTERS},
                "history": self.history.rows,
                "best": self.best,
            },
        )

    def resume(self):
        """Goes on from the last good checkpoint, if there is one."""
        found = self.checkpoints.latest()
        if found is None:
            return
        saved = found[1]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if saved["data"] is not None:
            self.data.load_state_dict(saved["data"])
        set_rng_state(saved["random"])
        for name in self._COUNTERS:
            setattr(self, name, saved["run"][name])
        self.history, self.best = History(saved["history"]), saved["best"]


class _Bar:
    """A progress bar if tqdm is there and somebody watches, else a line when an epoch is done."""

    def __init__(self, run, epochs, progress):
        self.run, self.epochs, self.bar, self.progress = run, epochs, None, progress

    def __enter__(self):
        if self.progress and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                return self
            total = len(self.run.data) if hasattr(self.run.data, "__len__") else None
            label = f"epoch {self.run.epoch + 1}/{self.epochs}"
            self.bar = tqdm(total=total, initial=self.run.position, desc=label, leave=False)
        return self

    def advance(self, loss):
        """One step is done."""
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

    def __exit__(self, kind, error, trace):
        if self.bar is not None:
            self.bar.close()


def _as_tuple(batch):
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _examples(batch):
    """How many examples a batch has: the size of the first axis of its first array."""
    first = next((x for x in flatten(batch)[0] if getattr(x, "shape", ())), None)
    return 1 if first is None else first.shape[0]
