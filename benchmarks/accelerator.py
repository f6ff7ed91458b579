"""How fast is an accelerator: forward passes and training steps of DistilBERT-base and BERT-base shapes, ours against transformers.

Needs keras, transformers and the backends to be measured, JAX and PyTorch, and nothing else: weights are random, the configs built
here, nothing is downloaded. Each side runs in a process of its own, one after the other, and writes each figure as soon as it has it:
a side that fails or takes too long loses only what it had not measured yet.

A figure is the median of `--repeats` runs of `--steps` batches, from NumPy arrays in main memory to logits or updated weights. The
first run of each shape, in which programs are compiled, is not counted; its seconds are in the result. All sides get the same
batches and compute in bfloat16: in training with float32 weights (mixed precision, AdamW on all layers, dropout 0.1), forwards
as each library does it, ours with float32 weights that are cast, transformers' with bfloat16 weights.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDES = ("ours-jax", "pytorch-compile", "pytorch-eager", "ours-torch")
SHAPES = {
    "distilbert": {"vocab_size": 30522, "dim": 768, "hidden_dim": 3072, "n_layers": 6, "n_heads": 12},
    "bert": {
        "vocab_size": 30522,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    },
}
TINY = {
    "distilbert": {"vocab_size": 100, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
    "bert": {
        "vocab_size": 100,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
}
# Tokens of product reviews are roughly log-normal: a median of 64, a tenth above 190; cut at 256. Padded to one of a few widths.
MEDIAN_LENGTH, SPREAD, LONGEST = 64, 0.85, 256
WIDTHS = (64, 128, 192, 256)


def config_of(model: str, tiny: bool):
    import transformers

    kind = {"distilbert": transformers.DistilBertConfig, "bert": transformers.BertConfig}[model]
    return kind(**(TINY if tiny else SHAPES)[model], max_position_embeddings=512, num_labels=2)


def batches_of(tokens: str, batch: int, steps: int, vocabulary: int, lengths_file: str | None) -> list[dict]:
    """Returns batches of random tokens with labels: of `tokens` tokens each, or, if that is "mix", of texts of many lengths."""
    generator = np.random.default_rng(0)
    if tokens == "mix":
        if lengths_file:
            lengths = np.loadtxt(lengths_file, dtype="int64").ravel()
            lengths = generator.choice(lengths, steps * batch)
        else:
            lengths = generator.lognormal(np.log(MEDIAN_LENGTH), SPREAD, steps * batch)
        lengths = np.sort(np.clip(lengths, 8, LONGEST).astype("int64")).reshape(steps, batch)
        lengths = generator.permutation(lengths)  # texts of similar length share a batch; the batches in random order
    else:
        lengths = np.full((steps, batch), int(tokens))
    made = []
    for row in lengths:
        width = next(width for width in (*WIDTHS, row.max()) if width >= row.max()) if tokens == "mix" else int(tokens)
        mask = (np.arange(width) < row[:, None]).astype("int32")
        ids = (generator.integers(5, vocabulary, mask.shape) * mask).astype("int32")
        labels = generator.integers(0, 2, batch).astype("int32")
        made.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return made


def flops_per_batch(config, batches: list[dict]) -> float:
    """Returns the operations of a forward pass over one batch on average, padding included: products of weights and of attention."""
    width, inner = config.hidden_size, getattr(config, "intermediate_size", None) or config.hidden_dim
    layers = config.num_hidden_layers
    total = 0.0
    for batch in batches:
        rows, tokens = batch["input_ids"].shape
        total += rows * tokens * layers * (2 * (4 * width * width + 2 * width * inner) + 4 * tokens * width)
    return total / len(batches)


class Ours:
    """bert_tf on the Keras backend of the environment."""

    def __init__(self, model: str, tiny: bool):
        import keras

        import bert_tf

        keras.utils.set_random_seed(0)
        self.config = config_of(model, tiny)
        name = {"distilbert": "TFDistilBertForSequenceClassification", "bert": "TFBertForSequenceClassification"}[model]
        self.model = getattr(bert_tf, name)(self.config, dtype="mixed_bfloat16")
        # PyTorch's compiler takes longer to compile our steps than to run them: eager there, as `compile` leaves it.
        self.model.compile(keras.optimizers.AdamW(1e-5, weight_decay=0.01))

    def data(self, batches: list[dict], labelled: bool):
        import keras

        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return len(batches)

            def __getitem__(self, i):
                inputs = {name: batches[i][name] for name in ("input_ids", "attention_mask")}
                return (inputs, batches[i]["labels"]) if labelled else inputs

        return Batches()

    def forward(self, batches: list[dict]) -> None:
        self.model.predict(self.data(batches, False), verbose=0)

    def train(self, batches: list[dict]) -> None:
        self.model.fit(self.data(batches, True), epochs=1, verbose=0, shuffle=False)

    def versions(self) -> dict:
        import keras

        return {"keras": keras.__version__, "backend": keras.backend.backend(), **library(keras.backend.backend())}


class PyTorch:
    """transformers' own classes with sdpa attention, and a plain loop."""

    def __init__(self, model: str, tiny: bool, compiled: bool):
        import torch
        import transformers

        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")
        self.torch, self.config = torch, config_of(model, tiny)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = {
            "distilbert": transformers.DistilBertForSequenceClassification,
            "bert": transformers.BertForSequenceClassification,
        }[model]
        self.config._attn_implementation = "sdpa"
        self.trained = kind(self.config).to(self.device).train()
        self.frozen = kind(self.config).to(self.device, torch.bfloat16).eval()
        fused = self.device == "cuda"
        self.optimizer = torch.optim.AdamW(self.trained.parameters(), lr=1e-5, weight_decay=0.01, fused=fused)
        if compiled:
            self.trained, self.frozen = torch.compile(self.trained), torch.compile(self.frozen)

    def inputs(self, batch: dict, labelled: bool) -> dict:
        torch = self.torch
        names = ("input_ids", "attention_mask", "labels") if labelled else ("input_ids", "attention_mask")
        tensors = {name: torch.from_numpy(batch[name]) for name in names}
        if labelled:
            tensors["labels"] = tensors["labels"].long()
        if self.device == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in tensors.items()}

    def forward(self, batches: list[dict]) -> None:
        with self.torch.inference_mode():
            logits = [self.frozen(**self.inputs(batch, False)).logits for batch in batches]
            self.torch.cat(logits).float().cpu().numpy()

    def train(self, batches: list[dict]) -> None:
        torch = self.torch
        losses = []
        for batch in batches:
            inputs = self.inputs(batch, True)
            with torch.autocast(self.device, dtype=torch.bfloat16):
                loss = self.trained(**inputs).loss
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        float(torch.stack(losses).mean())

    def versions(self) -> dict:
        import transformers

        return {"transformers": transformers.__version__, **library("torch")}


def library(name: str) -> dict:
    """Returns the version of a backend, and its device."""
    if name == "jax":
        import jax

        return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
    import torch

    return {"torch": torch.__version__, "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"}


def matmul_peak(size: int) -> dict:
    """Returns the operations a second of a bfloat16 product of two random square matrices, by PyTorch: the median of several runs."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def run(times: int) -> float:
        began = time.perf_counter()
        for _ in range(times):
            product = one @ other
        float(product[0, 0])  # waits for the device
        return (time.perf_counter() - began) / times

    run(3)
    seconds = statistics.median(run(10) for _ in range(5))
    return {"size": size, "flops": 2 * size**3 / seconds, **library("torch")}


def run_side(args: argparse.Namespace) -> None:
    """Measures one side, and writes a line of JSON for each figure."""

    def write(row: dict) -> None:
        with open(args.rows, "a") as file:
            file.write(json.dumps({"side": args.side, **row}) + "\n")
        print(json.dumps(row), file=sys.stderr, flush=True)

    if args.side == "matmul":
        write({"peak": matmul_peak(128 if args.tiny else 8192)})
        return
    made: dict[str, Ours | PyTorch] = {}
    for case in args.cases:
        model, what, tokens = case.split("/")
        if model not in made:
            began = time.perf_counter()
            ours = args.side.startswith("ours")
            made[model] = Ours(model, args.tiny) if ours else PyTorch(model, args.tiny, args.side == "pytorch-compile")
            write({"model": model, "made_seconds": time.perf_counter() - began, **made[model].versions()})
        row = {"model": model, "what": what, "tokens": tokens}
        try:
            write({**row, **measured(made[model], what, tokens, args)})
        except Exception as error:  # out of memory, a kernel that is missing: the other figures can still be had
            write({**row, "error": f"{type(error).__name__}: {error}"[:500]})


def measured(made: Ours | PyTorch, what: str, tokens: str, args: argparse.Namespace) -> dict:
    steps = args.steps * (2 if what == "forward" else 1)
    batches = batches_of(tokens, args.batch, steps, made.config.vocab_size, args.lengths)
    run = getattr(made, what)
    began = time.perf_counter()
    firsts = {batch["input_ids"].shape: batch for batch in batches}
    run([*firsts.values(), *firsts.values()])  # each shape twice: some compilers make a second, general program
    compiled = time.perf_counter() - began
    run(batches)
    seconds = []
    for _ in range(args.repeats):
        began = time.perf_counter()
        run(batches)
        seconds.append((time.perf_counter() - began) / len(batches))
    median, flops = statistics.median(seconds), flops_per_batch(made.config, batches) * (3 if what == "train" else 1)
    real = sum(int(batch["attention_mask"].sum()) for batch in batches) / len(batches)
    padded = sum(batch["attention_mask"].size for batch in batches) / len(batches)
    return {
        "batch": args.batch,
        "steps": len(batches),
        "milliseconds": 1000 * median,
        "spread_ms": 1000 * (max(seconds) - min(seconds)),
        "tokens_per_second": real / median,
        "padding": 1 - real / padded,
        "flops": flops / median,
        "first_seconds": compiled,
    }


def run_all(args: argparse.Namespace) -> dict:
    rows: list[dict] = []
    notes: dict[str, str] = {}
    began = time.monotonic()
    for side in ("matmul", *args.sides):
        left = args.total - (time.monotonic() - began)
        limit = min(args.limit, left)
        if limit < 5:
            notes[side] = "not run: no time left"
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.jsonl"
            file.touch()
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--rows", str(file)]
            environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9"}
            if side.startswith("ours"):
                environment["KERAS_BACKEND"] = side.split("-")[1]
            started = time.monotonic()
            try:
                code = subprocess.run(command, env=environment, timeout=limit, stdout=sys.stderr).returncode
                notes[side] = f"exit {code} after {time.monotonic() - started:.0f} s"
            except subprocess.TimeoutExpired:
                notes[side] = f"stopped after {limit:.0f} s"
            rows += [json.loads(line) for line in file.read_text().splitlines()]
        result = summary(rows, notes, args)
        if args.output:
            Path(args.output).write_text(json.dumps(result, indent=1))
    return result


def summary(rows: list[dict], notes: dict[str, str], args: argparse.Namespace) -> dict:
    peak = next((row["peak"] for row in rows if "peak" in row), None)
    for row in rows:
        if peak and "flops" in row:
            row["share_of_peak"] = row["flops"] / peak["flops"]
    reference = {
        (row["model"], row["what"], row["tokens"]): row["tokens_per_second"]
        for row in rows
        if row["side"] == "pytorch-compile" and "tokens_per_second" in row
    }
    for row in rows:
        if "tokens_per_second" in row and (row["model"], row["what"], row["tokens"]) in reference:
            row["times_pytorch_compile"] = (
                row["tokens_per_second"] / reference[row["model"], row["what"], row["tokens"]]
            )
    return {
        "benchmark": "accelerator",
        "date": time.strftime("%Y-%m-%d"),
        "sizes": TINY if args.tiny else SHAPES,
        "matmul": peak,
        "sides": notes,
        "rows": [row for row in rows if "peak" not in row],
    }


def table(result: dict) -> str:
    lines = [f"matmul peak: {(result['matmul'] or {}).get('flops', 0) / 1e12:.1f} TFLOP/s; sides: {result['sides']}"]
    for row in result["rows"]:
        name = f"{row['side']:16} {row['model']:10} {row.get('what', ''):8} {row.get('tokens', ''):>4}"
        if "error" in row:
            lines.append(f"{name}  {row['error'][:160]}")
        elif "milliseconds" in row:
            share, times = row.get("share_of_peak", 0), row.get("times_pytorch_compile", 0)
            lines.append(
                f"{name} {row['tokens_per_second']:12,.0f} tok/s {row['milliseconds']:8.2f} ms (spread {row['spread_ms']:.2f}) "
                f"{share:5.1%} of peak, x{times:.2f} of compile; first {row['first_seconds']:.0f} s"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [f"{model}/{what}/{n}" for model in SHAPES for n in ("128", "256", "mix") for what in ("train", "forward")]
    parser.add_argument(
        "--cases",
        nargs="+",
        default=every,
        help=f"in this order; tokens a text, or mix: of many lengths; {' '.join(every)}",
    )
    parser.add_argument("--sides", nargs="*", default=[*SIDES], choices=SIDES)
    parser.add_argument("--lengths", help="a file of numbers: the tokens of real texts, for mix; by default log-normal")
    parser.add_argument("--batch", type=int, default=128, help="texts a batch")
    parser.add_argument("--steps", type=int, default=40, help="batches a run, forwards twice as many")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600, help="seconds for a side")
    parser.add_argument("--total", type=float, default=3600, help="seconds for all sides")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the script on a processor")
    parser.add_argument("--output", help="a JSON file, written again after each side")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        run_side(args)
        return
    result = run_all(args)
    print(json.dumps(result, indent=1))
    print(table(result), file=sys.stderr)


if __name__ == "__main__":
    main()
