"""A small network learns to read handwritten digits.

    python -m examples.mlp_mnist                                    # 1,797 digits of 8x8 pixels, in this repository
    python -m examples.mlp_mnist --data-dir ~/mnist --epochs 5      # MNIST's four IDX files, gzipped or not
    python -m examples.mlp_mnist --load runs/mlp_mnist.safetensors  # no training, only the accuracy

It shows a module, a training step that runs as one compiled program (jit), evaluation, saving and loading.
Expected with the defaults: about 98 % of the held-out digits right, after about two seconds; runs/mlp_mnist.png
shows the curves and the digits that were misread, and runs/mlp_mnist.safetensors is the trained model.

Data: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998,
doi 10.24432/C50P49, CC BY 4.0; see examples/data/README.md.
"""

import argparse
import io
import math
import sys

import numpy as np
from tqdm import tqdm

import pequegrad as pg
from examples.datasets import load_digits, load_mnist
from pequegrad.autodiff import grads, no_grad
from pequegrad.core.files import write_atomically
from pequegrad.nn import Dropout, Linear, StatefulModule
from pequegrad.optim import Adam
from pequegrad.tensor import Tensor, device

MODEL, PICTURE = "runs/mlp_mnist.safetensors", "runs/mlp_mnist.png"
BAR = "{desc} |{bar:12}| {elapsed}{postfix}"


class MLP(StatefulModule):
    """Pixels [N, inputs] to one score per class [N, 10]."""

    def __init__(self, inputs):
        self.fc1 = Linear(inputs, 200)
        self.dropout = Dropout(0.2)
        self.fc2 = Linear(200, 10)

    def forward(self, x):
        return self.fc2(self.dropout(self.fc1(x).relu()))


def train(model, train_set, test_set, epochs, batch_size, lr, seed, steps=None):
    """Trains the model, for at most `steps` steps; returns (train loss, train accuracy, held-out loss, held-out accuracy) of each epoch."""
    optimizer = Adam(model.parameters(), lr=lr)

    @pg.jit  # forward, backward and update become one program
    def step(x, y):
        scores = model(x)
        loss = scores.cross_entropy_loss_indices(y)
        optimizer.step(grads(model.parameters(), loss))
        return loss, (scores.argmax(-1) == y).sum()

    images, labels = train_set
    shuffle = np.random.default_rng(seed)
    history, taken = [], 0
    for epoch in range(1, epochs + 1):
        order = shuffle.permutation(len(labels))
        starts = range(0, len(labels), batch_size)[: None if steps is None else steps - taken]
        if not starts:
            break
        taken += len(starts)
        seen, total_loss, correct = 0, 0.0, 0
        with tqdm(total=len(labels), desc=f"epoch {epoch:2}/{epochs}", bar_format=BAR) as bar:
            for start in starts:
                batch = order[start : start + batch_size]  # the last one may be smaller
                loss, right = step(images[batch], labels[batch])
                seen += len(batch)
                total_loss += loss.item() * len(batch)
                correct += right.item()
                bar.set_postfix_str(f"loss {total_loss / seen:.3f}, accuracy {correct / seen:.1%}", refresh=False)
                bar.update(len(batch))
            test_loss, test_accuracy, _ = evaluate(model, test_set)
            bar.set_postfix_str(f"{bar.postfix}, held-out {test_accuracy:.1%}")
        history.append((total_loss / seen, correct / seen, test_loss, test_accuracy))
    return history


def evaluate(model, data_set):
    """(mean loss, accuracy, predicted classes [N]) over the whole data set, with dropout off."""
    images, labels = data_set
    model.eval()
    with no_grad():
        scores = model(images)
        loss, predicted = scores.cross_entropy_loss_indices(labels).item(), scores.argmax(-1).numpy()
    model.train()
    return loss, np.mean(predicted == labels.numpy()), predicted


def plot(path, history, test_set, predicted):
    """Writes a PNG with the curves of loss and accuracy, if there is a history, and the misclassified digits."""
    from matplotlib.figure import Figure

    images, labels = (tensor.numpy() for tensor in test_set)
    wrong = np.flatnonzero(predicted != labels)
    rows = max(1, min(3, math.ceil(len(wrong) / 10)))
    heights = [3.4, 0.5 + 1.35 * rows] if history else [0.5 + 1.35 * rows]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    *curves, grid = figure.subfigures(len(heights), squeeze=False, height_ratios=heights)[:, 0]

    if history:
        epochs = range(1, len(history) + 1)
        for i, (name, axes) in enumerate(zip(("loss", "accuracy"), curves[0].subplots(1, 2))):
            axes.plot(epochs, [row[i] for row in history], ".-", label="training (with dropout)")
            axes.plot(epochs, [row[i + 2] for row in history], ".-", label="held-out")
            axes.set(title=name.capitalize(), xlabel="epoch", ylabel=("cross-entropy" if name == "loss" else "fraction right"))  # fmt: skip
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend()

    first = f", the first {10 * rows}" if len(wrong) > 10 * rows else ""
    grid.suptitle(f"Misclassified: {len(wrong)} of {len(labels):,} held-out digits{first}")
    side = math.isqrt(images.shape[1])
    for k, axes in enumerate(grid.subplots(rows, 10, squeeze=False).flat):
        axes.axis("off")
        if k < len(wrong):
            axes.imshow(images[wrong[k]].reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(f"true {labels[wrong[k]]}\npredicted {predicted[wrong[k]]}", fontsize=9)

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    write_atomically(path, png.getvalue())


def run(options):
    """Loads, trains or evaluates, reports, saves."""
    place = device.cuda if options.cuda else device.cpu
    arrays = load_mnist(options.data_dir) if options.data_dir else load_digits()
    tensors = [Tensor(array, device=place) for array in arrays]
    train_set, test_set = tensors[:2], tensors[2:]

    pg.manual_seed(options.seed)
    model = MLP(inputs=arrays[0].shape[1]).to(place)
    history = []
    if options.load:
        model.load(options.load)
    else:
        print(f"{len(arrays[1]):,} digits to learn from, {len(arrays[3]):,} held out, on {place}")
        history = train(
            model, train_set, test_set, options.epochs, options.batch_size, options.lr, options.seed, options.steps
        )

    _, accuracy, predicted = evaluate(model, test_set)
    print(f"held-out accuracy: {accuracy:.1%} ({np.sum(predicted == arrays[3]):,} of {len(predicted):,})")
    if options.save:
        model.save(options.save)
        fresh = MLP(inputs=arrays[0].shape[1]).to(place).load(options.save)
        if not np.array_equal(evaluate(fresh, test_set)[2], predicted):
            raise pg.ModelFileError("The reloaded model predicts something else.", where=options.save)
        print(f"saved {options.save}; reloaded into a fresh model, it predicts the same")
    if options.plot:
        plot(options.plot, history, test_set, predicted)
        print(f"drew {options.plot}")


def main(argv=None):
    """Runs the command line; returns the exit code: 0, or 2 if a device or a file is not what it should be."""
    options = parse(argv)
    try:
        run(options)
    except pg.DeviceError as error:
        print("mlp_mnist:", str(error).splitlines()[0], file=sys.stderr)
        return 2
    except OSError as error:  # which errors of data and model files are
        print("mlp_mnist:", error, file=sys.stderr)
        return 2
    return 0


def parse(argv):
    """The command line's options; exits with a message and code 2 if one is not understood."""
    parser = argparse.ArgumentParser(prog="python -m examples.mlp_mnist", description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true", help="run on the GPU")
    parser.add_argument("--data-dir", metavar="DIR", help="read MNIST's IDX files from DIR instead of the small digits")
    parser.add_argument("--epochs", type=at_least(1), default=20, help="passes over the data (default: %(default)s)")
    parser.add_argument(
        "--steps", type=at_least(1), metavar="N", help="end the training after so many, whatever --epochs says"
    )
    parser.add_argument("--batch-size", type=at_least(1), default=64, help="digits per step (default: %(default)s)")
    parser.add_argument("--lr", type=at_least(0, float), default=5e-3, help="Adam's step size (default: %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--load", metavar="FILE", help="evaluate this model instead of training one")
    parser.add_argument("--save", metavar="FILE", help=f"the model (default: {MODEL}; with --load none)")
    parser.add_argument("--plot", metavar="FILE", help=f"the picture (default: {PICTURE}; with --load none)")
    options = parser.parse_args(argv)
    if not options.load:
        options.save = options.save or MODEL
        options.plot = options.plot or PICTURE
    return options


def at_least(low, kind=int):
    """A type for argparse: a finite number, not below `low`."""

    def number(text):
        value = kind(text)
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not a number of at least {low}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
