"""A small GPT reads this repository's documentation letter by letter, and writes some of its own.

    python -m examples.gpt                        # docs/*.md and README.md, which are in this repository
    python -m examples.gpt --data-dir ~/books     # the .txt and .md files in a folder

It shows a transformer made of layers, TokenWindows and DataLoader for text, and generation with a cache of keys and values: each
new letter then costs one row of work instead of a whole window, and the text is the same as without the cache.
(With windows as small as these, most of a letter's time is the call itself; at 512 letters the cache is five times as fast.)
Expected with the defaults: 1.9 nats per held-out letter (3.3 if only the frequencies of letters are known) after about 30
seconds; words that look like English and Markdown; the same text with and without the cache.
"""

import time
from pathlib import Path

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log
from pequegrad import nn, optim
from pequegrad.autodiff import grads, no_grad
from pequegrad.data import Characters, DataLoader, TokenWindows, read_text

ROOT = Path(__file__).resolve().parents[1]
CONTEXT, WIDTH, HEADS, LAYERS = 64, 96, 4, 2


class Block(nn.StatefulModule):
    """x + attention(norm(x)), then + feed-forward(norm(...)); each place sees those before it."""

    def __init__(self):
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.forward_part = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, cache=None, place=None):
        """x [N, T, WIDTH] -> the same shape; with a cache (keys, values) T is 1, at `place`: -> (x, new cache)."""
        q, k, v = (self.heads(part) for part in pg.split(self.qkv(self.norm1(x)), 3, axis=-1))
        if cache is None:
            found = pg.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            cache = tuple(pg.dynamic_update_slice_in_dim(old, new, place, axis=2) for old, new in zip(cache, (k, v)))
            found = pg.scaled_dot_product_attention(q, *cache, pg.arange(CONTEXT) <= place)
        x = x + self.out(found.permute(0, 2, 1, 3).reshape(*x.shape))
        x = x + self.forward_part(self.norm2(x))
        return x if cache is None else (x, cache)

    @staticmethod
    def heads(x):
        """[N, T, WIDTH] -> [N, HEADS, T, WIDTH / HEADS]"""
        return x.reshape(*x.shape[:2], HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)


class GPT(nn.StatefulModule):
    """Letters [N, T] to scores [N, T, letters] of the letter that follows each."""

    def __init__(self, letters):
        self.letters, self.places = nn.Embedding(letters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, letters)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.1)

    def forward(self, letters):
        x = self.letters(letters) + self.places.weight[: letters.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def next_scores(self, caches, letter, place):
        """(scores [letters] of what follows `letter`, which stands at `place`; the caches with it)."""
        x = (self.letters(letter) + self.places(place)).reshape(1, 1, WIDTH)
        new = []
        for block, cache in zip(self.blocks, caches):
            x, cache = block(x, cache, place)
            new.append(cache)
        return self.head(self.norm(x))[0, 0], new

    def empty_caches(self):
        """For each block room for the keys and values of CONTEXT letters."""
        shape, device = (1, HEADS, CONTEXT, WIDTH // HEADS), self.head.weight.device
        return [(pg.zeros(shape, device=device), pg.zeros(shape, device=device)) for _ in self.blocks]


def write(model, start, noise, cached):
    """(`start` and a letter more for each row of noise [count, letters], which decides the choice; seconds per letter).

    When the model's window is full, its last quarter is the beginning of the next one.
    """
    one = pg.jit(model.next_scores)
    whole = pg.jit(lambda window, place: model(window)[0, place])  # what stands behind `place` is not seen
    text, window = list(start), []
    for row in noise:
        unseen = text[-1:]
        if len(window) in (0, CONTEXT):
            window, unseen, caches = [], text[-CONTEXT // 4 :], model.empty_caches()
        for letter in unseen:
            if cached:
                scores, caches = one(caches, np.int32(letter), np.int32(len(window)))
            window.append(letter)
        if not cached:
            padded = np.array([window + [0] * (CONTEXT - len(window))], np.int32)
            scores = whole(padded, np.int32(len(window) - 1))
        text.append(int(np.argmax(scores.numpy() / 0.7 + row)))
        if len(text) == len(start) + 1:  # the first letter took the compiler's time, too
            began = time.perf_counter()
    return text, (time.perf_counter() - began) / (len(noise) - 1)


def load(folder):
    """(letters for training, letters held out: the last tenth, the vocabulary)"""
    documents = [
        p for p in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))] if p.name != "primitives.md"
    ]  # a table
    if folder:
        documents = sorted([*Path(folder).glob("*.txt"), *Path(folder).glob("*.md")])
    text = read_text(documents)
    vocabulary = Characters.of(text)
    letters = vocabulary.encode(text)
    return letters[: -len(letters) // 10], letters[-len(letters) // 10 :], vocabulary


def main(argv=None):
    """Trains and writes; returns nats per held-out letter, and whether the cache changed what was written."""
    options = begin("gpt", __doc__, argv, steps=800, data="read the .txt and .md files in DIR", picture=False)
    letters, held_out, vocabulary = load(options.data_dir)
    print(f"{len(letters):,} letters, {len(vocabulary)} different ones")
    train = DataLoader(TokenWindows(letters, CONTEXT, stride=8), 16, shuffle=True, drop_last=True, seed=options.seed)
    model = GPT(len(vocabulary)).to(options.device)
    schedule = optim.schedules.warmup_cosine(4e-3, warmup=max(1, options.steps // 10), steps=options.steps + 1)
    optimizer = optim.AdamW(model.parameters(), lr=schedule, betas=(0.9, 0.99), weight_decay=0.01)

    def nats(x, y):
        """Mean nats per letter of windows x that y follows."""
        return model(x).reshape(-1, len(vocabulary)).cross_entropy_loss_indices(y.reshape(-1))

    @pg.jit
    def step(x, y):
        loss = nats(x, y)
        optimizer.step(optim.clip_by_global_norm(grads(model.parameters(), loss), 1.0))
        return loss

    taken = 0
    while taken < options.steps:
        for x, y in train:
            taken += 1
            loss = step(x, y)
            log(taken, options.steps, nats_per_letter=loss)
            if taken == options.steps:
                break

    with no_grad():
        test = DataLoader(TokenWindows(held_out, CONTEXT), 16, drop_last=True)
        measure = pg.jit(nats)
        loss = np.mean([measure(x, y).item() for x, y in test])
        # a sample is the argmax of scores and such numbers
        noise = np.random.default_rng(options.seed).gumbel(size=(200, len(vocabulary)))
        start = vocabulary.encode("The ")
        text, quick = write(model, start, noise, cached=True)
        again, slow = write(model, start, noise, cached=False)
    print("---\n" + vocabulary.decode(text) + "\n---")
    print(f"milliseconds per letter: {1000 * quick:.2f} with the cache, {1000 * slow:.2f} without")
    return finish(options, nats_per_letter=loss, same_without_cache=text == again)


if __name__ == "__main__":
    main()
