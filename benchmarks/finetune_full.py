"""How many texts a second full fine-tuning takes: DistilBERT-base, every weight trained, on real reviews.

An epoch is timed after a warm-up in which everything is traced. Sides are run in turn and the median is taken. Where the
processor has no bfloat16 products they are emulated and take minutes: such a side runs once, on few texts with the same
mix of lengths, and says so. Prints one JSON object; `ratios` are ours over each peer, precision by precision.
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
        found = sides.run("texts")
    rates = {name: side["texts_per_s"] for name, side in found.items()}
    results = {
        "texts_per_s": rates,
        "ratios": {
            name: common.ratio(rates.get("ours_bfloat16" if name.endswith("bfloat16") else "ours_float32"), rate)
            for name, rate in rates.items()
            if not name.startswith("ours")
        },
        "ratio_best_to_best": common.ratio(_best(rates, True), _best(rates, False)),
        "sides": found,
        "sizes": sides.sizes(),
    }
    return common.report("finetune_full", results, sides.versions)


def _best(rates: dict, ours: bool) -> float | None:
    """Returns the rate of the fastest of our sides, or of the others."""
    return max((rate for name, rate in rates.items() if rate and name.startswith("ours") == ours), default=None)


def _parser():
    parser = common.parser(__doc__, "python benchmarks/finetune_full.py --data reviews.csv")
    common.add_tokens(parser, texts=128, slow_texts=2, peers=[*SIDES][1:])
    return parser


if __name__ == "__main__":
    common.main(main)
