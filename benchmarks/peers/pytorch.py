"""The PyTorch side: transformers 5, a plain training loop, batches padded to their longest text."""

import time

import numpy as np
import torch
from shared import (
    BatchClock,
    by_length,
    family_config,
    family_seconds,
    main,
    padded,
    read_texts,
    read_tokens,
    timed,
    warm_up,
)
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def tensors(rows) -> dict[str, torch.Tensor]:
    return dict(zip(("input_ids", "attention_mask"), map(torch.from_numpy, padded(rows)), strict=True))


def finetune(settings: dict) -> dict:
    """One epoch of a frozen base: only the head is trained, the base runs in every step."""
    torch.manual_seed(0)
    size, clock = settings["batch_size"], BatchClock()
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])

    def read(file):
        texts, labels = read_texts(file)
        rows = tokenizer(texts, truncation=True, max_length=settings["max_length"])["input_ids"]
        return [np.array(row) for row in rows], torch.from_numpy(labels.astype("int64"))

    (train, labels), (held, held_labels) = read(settings["train"]), read(settings["validation"])
    model = AutoModelForSequenceClassification.from_pretrained(
        settings["model"], num_labels=len(labels.unique()), dtype=torch.float32
    )
    model.base_model.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], settings["learning_rate"])
    clock.start()
    model.train()
    for chosen in torch.randperm(len(train)).split(size):
        model(**tensors([train[i] for i in chosen]), labels=labels[chosen]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.batch("train")
    model.eval()
    right = 0
    with torch.no_grad():
        for chosen in torch.arange(len(held)).split(size):
            logits = model(**tensors([held[i] for i in chosen])).logits
            right += int((logits.argmax(-1) == held_labels[chosen]).sum())
            clock.batch("validation")
    return {**clock.result(len(train), len(held), size), "val_accuracy": right / len(held)}


def forward(settings: dict) -> dict:
    """The vector of the first token of each text, with texts of similar length together."""
    rows, _ = read_tokens(settings["tokens"])
    dtype = getattr(torch, settings["precision"])
    model = AutoModel.from_pretrained(settings["model"], dtype=dtype).eval()

    @torch.inference_mode()
    def run(batches):
        return [model(**tensors([rows[i] for i in b])).last_hidden_state[:, 0].float().numpy() for b in batches]

    run(warm_up(rows, settings["batch_size"]))
    seconds = timed(lambda: run(by_length(rows, settings["batch_size"])))
    return {"seconds": seconds, "tokens": sum(map(len, rows)), "texts": len(rows)}


def family(settings: dict) -> dict:
    """The vector of the first token of each text of one batch, in eager mode."""
    torch.manual_seed(0)
    model = AutoModel.from_config(family_config(settings["family"]), dtype=getattr(torch, settings["precision"])).eval()

    @torch.inference_mode()
    def run(ids, mask):
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return model(**inputs).last_hidden_state[:, 0].float().numpy()

    return family_seconds(run, settings)


def step(settings: dict) -> dict:
    """One epoch of training all weights, in float32 or with autocast to bfloat16."""
    torch.manual_seed(0)
    rows, labels = read_tokens(settings["tokens"])
    model = AutoModelForSequenceClassification.from_pretrained(
        settings["model"], num_labels=max(2, int(labels.max()) + 1), dtype=torch.float32
    ).train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-5)
    targets = torch.from_numpy(labels.astype("int64"))

    def run(batches):
        for chosen in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bfloat16"):
                loss = model(**tensors([rows[i] for i in chosen]), labels=targets[torch.as_tensor(chosen)]).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    run(warm_up(rows, settings["batch_size"]))
    started = time.perf_counter()
    run(torch.randperm(len(rows)).split(settings["batch_size"]))
    return {"seconds": time.perf_counter() - started, "tokens": sum(map(len, rows)), "texts": len(rows)}


main(finetune=finetune, forward=forward, family=family, step=step)
