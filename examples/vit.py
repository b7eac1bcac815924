"""A vision transformer learns to read handwritten digits, cut into patches.

    python -m examples.vit                       # 1,797 digits of 8x8 pixels in 16 patches, in this repository
    python -m examples.vit --data-dir ~/mnist    # MNIST's IDX files, 28x28 pixels in 49 patches

It shows nn.TransformerEncoderLayer, a parameter that is no layer (the class token and the places), and a stateful loop with
AdamW, a warm-up schedule and clipped gradients.
Expected: accuracy 0.97 after about 20 seconds. The picture: where the class token looks, in the last layer.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log, picture, show_images
from examples.datasets import load_images
from pequegrad import nn, optim
from pequegrad.autodiff import grads, no_grad

WIDTH, HEADS, LAYERS = 48, 4, 2


class VisionTransformer(nn.StatefulModule):
    """Images [N, 1, side, side] to one score per class [N, 10] (Dosovitskiy et al., 2021)."""

    def __init__(self, side, patch):
        self.patch, self.count = patch, (side // patch) ** 2
        self.embed = nn.Linear(patch * patch, WIDTH)
        self.token = pg.zeros((1, 1, WIDTH))
        self.places = 0.02 * pg.randn(1, self.count + 1, WIDTH)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.1, "gelu", batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def patches(self, images):
        """The pixels of each patch, [N, patches, pixels]."""
        n, side, p = images.shape[0], images.shape[-1], self.patch
        return (
            pg.as_tensor(images)
            .reshape(n, side // p, p, side // p, p)
            .permute(0, 1, 3, 2, 4)
            .reshape(n, self.count, p * p)
        )

    def embedded(self, images):
        """The tokens that go into the blocks: the class token and the patches, [N, 1 + patches, WIDTH]."""
        x = self.embed(self.patches(images))
        return pg.concatenate([pg.broadcast_to(self.token, (x.shape[0], 1, WIDTH)), x], axis=1) + self.places

    def forward(self, images):
        x = self.embedded(images)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))

    def attention(self, images):
        """How much the class token attends to each patch in the last block, [N, patches]."""
        x = self.embedded(images)
        *first, last = self.blocks
        for block in first:
            x = block(x)
        x = last.norm1(x)
        return last.self_attn(x, x, x)[1][:, 0, 1:]


def draw(figure, images, looks):
    """Digits above, below them where the class token looks."""
    show_images(figure.subplots(2, len(images)), [*images, *(look / look.max() for look in looks)])


def main(argv=None):
    """Trains, and returns the accuracy on held-out digits."""
    options = begin("vit", __doc__, argv, steps=500, data="read MNIST's IDX files from DIR")
    images, labels, test_images, test_labels = load_images(options.data_dir)
    side = images.shape[-1]
    model = VisionTransformer(side, patch=2 if side == 8 else 4).to(options.device)
    schedule = optim.schedules.warmup_cosine(3e-3, warmup=max(1, options.steps // 10), steps=options.steps + 1)
    optimizer = optim.AdamW(model.parameters(), lr=schedule, weight_decay=0.01)

    @pg.jit
    def step(x, y):
        loss = model(x).cross_entropy_loss_indices(y)
        gradients = optim.clip_by_global_norm(grads(model.parameters(), loss), 1.0)
        optimizer.step(gradients)
        return loss

    choose = np.random.default_rng(options.seed)
    for i in range(1, options.steps + 1):
        batch = choose.integers(0, len(labels), 64)
        loss = step(images[batch], labels[batch])
        log(i, options.steps, loss=loss)

    model.eval()
    with no_grad():
        predicted = np.concatenate([model(part).argmax(-1).numpy() for part in np.array_split(test_images, 10)])
        looks = model.attention(test_images[:12]).numpy().reshape(12, side // model.patch, -1)
    picture(options, lambda figure: draw(figure, test_images[:12, 0], looks), size=(10, 2))
    return finish(options, loss=loss, accuracy=np.mean(predicted == test_labels))


if __name__ == "__main__":
    main()
