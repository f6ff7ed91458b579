"""Full fine-tuning in texts per second: DistilBERT-base, every weight trained, on real reviews.

One epoch is timed after a warm-up in which everything is traced. The sides run in turn, and the median counts. On a
processor without bfloat16 it is emulated, which takes minutes: such a side runs once, on few texts with the same mix of
lengths, and is marked as emulated. Prints one JSON object; `ratios` are ours over each peer in the same precision.
"""

import common

SIDES = {"ours": ("float32", "bfloat16"), "pytorch": ("float32", "bfloat16"), "kerashub": ("float32", "mixed_bfloat16")}


def main() -> int:
    options = _parser().parse_args()
    with common.work_folder(options.work) as work:
        sides = common.Sides(options, work)
        for peer in ("ours", *options.peers):
            for precision in SIDES[peer]:
                sides.add(f"{peer}_{precision}", peer, "step", precision)
        measured = sides.run("texts")
    rates = {name: side["texts_per_s"] for name, side in measured.items()}
    results = {
        "texts_per_s": rates,
        "ratios": {
            name: common.ratio(rates.get("ours_bfloat16" if name.endswith("bfloat16") else "ours_float32"), rate)
            for name, rate in rates.items()
            if not name.startswith("ours")
        },
        "ratio_best_to_best": common.ratio(_best(rates, True), _best(rates, False)),
        "sides": measured,
        "sizes": sides.sizes(),
    }
    return common.report("finetune_full", results, sides.versions)


def _best(rates: dict, ours: bool) -> float | None:
    """Returns the rate of the fastest of our sides, or of the other sides."""
    return max((rate for name, rate in rates.items() if rate and name.startswith("ours") == ours), default=None)


def _parser():
    example = "python benchmarks/finetune_full.py --data reviews.csv"
    return common.parser(__doc__, example, common.OF_SIDES, texts=128, slow_texts=2, peers=[*SIDES][1:])


if __name__ == "__main__":
    common.main(main)
