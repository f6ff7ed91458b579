"""Our side: what the benchmarks measure of bert_tf, and the models, texts and tokens that all sides use."""

import csv
import itertools
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from shared import BatchClock, by_length, family_config, family_seconds, main, padded, read_tokens, timed, warm_up

PROBE = 16  # the set-up time of a call is measured on every 16th text


# What all sides use


def without_traceback(job):
    """Lets a job report wrong input in one line, as the command line does."""

    def run(settings: dict) -> dict:
        try:
            return job(settings)
        except ImportError as error:
            sys.exit(f"{error}. Run this with the Python in which bert_tf is installed.")
        except (ValueError, OSError) as error:
            sys.exit(str(error))

    return run


def model(settings: dict) -> dict:
    """Prepares a checkpoint: "minilm", or "base" = DistilBERT-base with random weights, which have no influence on speed."""
    import keras
    import transformers

    import bert_tf
    from bert_tf.checkpoints import locate

    if settings["size"] == "minilm":
        return {"model": str(locate.minilm())}
    folder = Path(settings["work"]) / "distilbert-base-random"
    tokenizer = bert_tf.load_tokenizer("minilm")
    config = transformers.DistilBertConfig()
    if len(tokenizer) != config.vocab_size:
        raise ValueError(f"The tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}.")
    keras.utils.set_random_seed(0)
    bert_tf.TFDistilBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    (folder / "vocab.txt").write_text(
        "".join(f"{t}\n" for t in sorted(vocabulary, key=vocabulary.__getitem__)), "utf-8"
    )
    return {"model": str(folder)}


def sample(file: str, count: int):
    """Returns the first `count` texts after a seeded shuffle, and the names of their labels."""
    import bert_tf

    examples = bert_tf.read_examples(file)
    if count > len(examples):
        raise ValueError(f"{file}: has {len(examples)} texts, fewer than the {count} asked for.")
    chosen, texts = np.random.default_rng(0).permutation(len(examples))[:count], list(examples.texts)
    return [texts[i] for i in chosen], [examples.label_names[examples.labels[i]] for i in chosen]


def texts(settings: dict) -> dict:
    """Writes the training and validation texts, and for the peers a share of each with the same mix of lengths."""
    counts = {}
    for part in ("train", "validation"):
        rows = list(zip(*sample(settings[part], settings[f"{part}_texts"]), strict=True))
        count = max(1, round(settings["share"] * len(rows)))
        spread = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        chosen = sorted(spread[int((k + 0.5) * len(rows) / count)] for k in range(count))
        for name, kept in ((part, rows), (f"{part}_share", [rows[i] for i in chosen])):
            with open(Path(settings["work"]) / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("text", "label"), *kept])
            counts[name] = len(kept)
    return counts


def tokens(settings: dict) -> dict:
    """Writes the tokens of some texts, and of every k-th by length for the sides that are too slow for all of them."""
    import bert_tf

    chosen_texts, labels = sample(settings["data"], settings["texts"])
    rows = bert_tf.tokenize(chosen_texts, bert_tf.load_tokenizer(settings["model"]), settings["max_length"])
    labels = np.unique(labels, return_inverse=True)[1]
    order, few = np.argsort(rows.lengths, kind="stable"), min(settings["slow_texts"], len(rows))
    counts = {}
    for name, chosen in (
        ("all", np.arange(len(rows))),
        ("few", order[(np.arange(few) + 0.5).astype(int) * len(rows) // few]),
    ):
        ids = np.concatenate([rows[i] for i in chosen])
        np.savez(
            Path(settings["work"]) / f"{name}.npz", ids=ids, ends=np.cumsum(rows.lengths[chosen]), labels=labels[chosen]
        )
        counts[name] = {"texts": len(chosen), "tokens": len(ids)}
    return counts


# What is measured


def policy(settings: dict) -> str:
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[settings["precision"]]


def as_tokens(rows):
    from bert_tf.data.tokenizer import Tokens

    return Tokens(np.concatenate(rows).astype("int32"), np.cumsum([len(row) for row in rows]))


def frozen_encoder(settings: dict):
    import bert_tf

    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        settings["model"], num_labels=2, dtype=policy(settings)
    )
    model.freeze(0)
    return model.encoder


def seconds_of_extract(encoder, tokens, settings: dict, **options) -> float:
    """Returns the seconds of one call, including its set-up."""
    from bert_tf.features.extraction import extract

    return timed(lambda: extract(encoder, tokens, engine=settings["engine"], progress=False, **options))


def forward(settings: dict) -> dict:
    """The vector of the first token of each text, by `bert_tf.features`.

    A call compiles, or exports to another engine, before it computes. This is reported as `setup_s`: the rate is computed
    from the difference between a call for all texts and one for every 16th.
    """
    rows, _ = read_tokens(settings["tokens"])
    encoder = frozen_encoder(settings)
    probe = sorted(rows, key=len)[PROBE // 2 :: PROBE] or rows[:1]
    few = seconds_of_extract(encoder, as_tokens(probe), settings, cache="memory")
    everything = seconds_of_extract(encoder, as_tokens(rows), settings, cache="memory")
    tokens = sum(map(len, rows))
    rate = (everything - few) / (tokens - sum(map(len, probe)))
    return {"seconds": rate * tokens, "tokens": tokens, "texts": len(rows), "setup_s": everything - rate * tokens}


def forward_all_tokens(settings: dict) -> dict:
    """The plain encoder over all tokens, as a model with another head would run it."""
    import bert_tf
    from bert_tf import hardware

    rows, _ = read_tokens(settings["tokens"])
    model = bert_tf.TFDistilBertModel.from_pretrained(settings["model"], dtype=policy(settings))
    model.compile(jit_compile=hardware.jit_compile())

    def run(rows, size):
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for batch in bert_tf.batches(as_tokens([rows[i] for i in order]), batch_size=size):
            np.asarray(model.predict_on_batch(batch).last_hidden_state[:, 0])

    for chosen in warm_up(rows, settings["batch_size"]):
        run([rows[i] for i in chosen], len(chosen))
    seconds = timed(lambda: run(rows, settings["batch_size"]))
    return {"seconds": seconds, "tokens": sum(map(len, rows)), "texts": len(rows)}


def family(settings: dict) -> dict:
    """The vector of the first token of each text of one batch, by the layers that `finetune` freezes, or over all tokens."""
    import keras

    import bert_tf
    from bert_tf.inference import engines

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy(settings))
    encoder = bert_tf.TFAutoModel.from_config(family_config(settings["family"])).encoder
    encoder.trainable = False

    def every_token(input_ids, attention_mask):
        return encoder(input_ids, attention_mask, training=False).last_hidden_state[:, 0]

    make = {"keras": engines.keras_engine, "openvino": engines.openvino_engine}[settings["engine"]]
    run = make(encoder, every_token if settings["all_tokens"] else encoder.features)
    return family_seconds(lambda *batch: run(*(array.astype("int32") for array in batch)), settings)


def forward_by_hand(settings: dict) -> dict:
    """OpenVINO by hand: the same encoder exported by Keras, on batches of similar length, without any code of ours."""
    import keras
    import openvino

    rows, _ = read_tokens(settings["tokens"])
    encoder = frozen_encoder(settings)

    class Plain(keras.Model):
        def call(self, inputs):
            return encoder(inputs["input_ids"], inputs["attention_mask"], training=False).last_hidden_state

    names = ("input_ids", "attention_mask")
    plain = Plain(dtype=policy(settings))
    plain(dict.fromkeys(names, np.ones((1, 8), "int32")))
    signature = [{name: keras.InputSpec(dtype="int32", shape=(None, None), name=name) for name in names}]
    with tempfile.TemporaryDirectory() as folder:
        plain.export(f"{folder}/plain.xml", format="openvino", input_signature=signature, verbose=False)
        hint = {"float32": "f32", "bfloat16": "bf16"}[settings["precision"]]
        options = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        if hasattr(os, "sched_getaffinity"):
            options["INFERENCE_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))  # the default leaves some idle
        compiled = openvino.Core().compile_model(f"{folder}/plain.xml", "CPU", options)

    def run(batches):
        for chosen in batches:
            ids, mask = padded([rows[i] for i in chosen])
            compiled({"input_ids": ids.astype("int32"), "attention_mask": mask.astype("int32")})[0][:, 0].copy()

    run(warm_up(rows, settings["batch_size"]))
    seconds = timed(lambda: run(by_length(rows, settings["batch_size"])))
    return {"seconds": seconds, "tokens": sum(map(len, rows)), "texts": len(rows)}


def step(settings: dict) -> dict:
    """One epoch of training all weights."""
    import keras

    import bert_tf
    from bert_tf import hardware

    keras.utils.set_random_seed(0)
    rows, labels = read_tokens(settings["tokens"])
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        settings["model"], num_labels=max(2, int(labels.max()) + 1), dtype=policy(settings)
    )
    model.freeze("all")
    model.compile(keras.optimizers.Adam(5e-5), metrics=["accuracy"], jit_compile=hardware.jit_compile())

    def fit(chosen, size):
        data = bert_tf.batches(as_tokens([rows[i] for i in chosen]), labels[chosen], batch_size=size, shuffle=True)
        clock = BatchClock()
        model.fit(data, epochs=1, verbose=0, callbacks=[clock.callback(keras.callbacks.Callback)])
        return sum(clock.seconds["train"])

    for chosen in warm_up(rows, settings["batch_size"]):
        fit(chosen, len(chosen))
    seconds = fit(np.arange(len(rows)), settings["batch_size"])
    return {"seconds": seconds, "tokens": sum(map(len, rows)), "texts": len(rows)}


def memory(settings: dict) -> dict:
    """Features of many texts in a cache on disk: the peak memory of this process, and the seconds per token.

    The texts of a file are repeated, with a number before each so that no two are the same.
    """
    import bert_tf

    tokenizer, encoder = bert_tf.load_tokenizer(settings["model"]), frozen_encoder(settings)
    repeated = itertools.cycle([*bert_tf.read_examples(settings["data"], labelled=False).texts])
    numbered = (f"{i} {next(repeated)}" for i in itertools.count())

    def measured(count, cache_dir):
        tokens = bert_tf.tokenize(itertools.islice(numbered, count), tokenizer, settings["max_length"])
        return seconds_of_extract(encoder, tokens, settings, cache_dir=cache_dir), len(tokens.ids)

    with tempfile.TemporaryDirectory(dir=settings["work"]) as folder:
        few, few_tokens = measured(settings["probe"], f"{folder}/probe")
        started = time.perf_counter()
        seconds, tokens = measured(settings["texts"], f"{folder}/all")
        whole = time.perf_counter() - started
        size = sum(file.stat().st_size for file in Path(folder, "all").rglob("*") if file.is_file())
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "texts": settings["texts"], "tokens": tokens, "seconds": whole, "cache_mb": size / 1e6,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
        "seconds_per_token": (seconds - few) / (tokens - few_tokens),
    }  # fmt: skip


main(
    model=without_traceback(model),
    texts=without_traceback(texts),
    tokens=without_traceback(tokens),
    forward=forward,
    forward_all_tokens=forward_all_tokens,
    forward_by_hand=forward_by_hand,
    family=family,
    step=step,
    memory=without_traceback(memory),
)
