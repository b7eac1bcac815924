"""What the examples share: their options, lines about progress, the result, the picture."""

import argparse
import io
import time

import pequegrad as pg
from pequegrad.core.files import write_atomically


def begin(name, doc, argv, steps, steps_mean="steps of training", data=None, picture=True, more=None):
    """The options of an example, from the command line `argv` (None: that of the process); seeds all random numbers.

    steps: the default of --steps. data: what --data-dir is for; without it there is no such option. more: {option: help} of
    others. The namespace has steps, seed, device, and, where the example has them, data_dir, plot and others. Exits with code 2 and a message if an option is
    not understood, or the device is not there.
    """
    parser = argparse.ArgumentParser(prog=f"python -m examples.{name}", description=doc.splitlines()[0])
    parser.add_argument("--steps", type=_positive, default=steps, help=f"{steps_mean} (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--cuda", action="store_true", help="run on the GPU")
    if data:
        parser.add_argument("--data-dir", metavar="DIR", help=data)
    if picture:
        parser.add_argument("--plot", metavar="FILE", default=f"runs/{name}.png", help="(default: %(default)s)")
    for option, text in (more or {}).items():
        parser.add_argument(option, metavar=option.lstrip("-").upper(), help=text)
    options = parser.parse_args(argv)
    options.device = pg.device.cuda if options.cuda else pg.device.cpu
    try:
        options.device.handle  # noqa: B018  opens the device
    except pg.DeviceError as error:
        parser.exit(2, f"{name}: {str(error).splitlines()[0]}\n")
    pg.manual_seed(options.seed)
    options.began = time.perf_counter()
    return options


def _positive(text):
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return value


def log(step, steps, **values):
    """Prints ten lines in all: the values (tensors or numbers) after step 1, ..., `steps`. Others are not even read."""
    if step in (1, steps) or step % max(1, steps // 10) == 0 and steps - step >= steps // 20:
        print(f"step {step:{len(str(steps))}}: " + _described(values), flush=True)


def finish(options, **results):
    """Prints and returns the results, with the seconds that all took."""
    results = {name: _number(value) for name, value in results.items()}
    results["seconds"] = round(time.perf_counter() - options.began, 1)
    print("result: " + _described(results))
    return results


def _number(value):
    return value.item() if hasattr(value, "item") else value


def _described(values):
    numbers = {name: _number(value) for name, value in values.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
        for name, value in numbers.items()
    )


def picture(options, draw, size=(9, 4)):
    """Calls draw(figure) with a figure of this many inches, and writes it to --plot; without matplotlib, says so."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")
        return
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    write_atomically(options.plot, png.getvalue())
    print(f"drew {options.plot}")


def show_images(axes, images, titles=None):
    """Each of the images, [height, width] or [3, height, width] in 0..1, on one of the axes."""
    for i, one in enumerate(axes.flat):
        one.axis("off")
        if i < len(images):
            image = images[i] if images[i].ndim == 2 else images[i].transpose(1, 2, 0)
            one.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            if titles is not None:
                one.set_title(titles[i], fontsize=8)
