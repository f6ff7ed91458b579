"""How many real tokens a second the frozen forward pass takes: one vector a text, over real reviews.

Padding does not count: a side that pads more is slower by it. Sides are run in turn and the median is taken. Where the
processor has no bfloat16 products they are emulated and take minutes: such a side runs once, on few texts with the same
mix of lengths, and says so. Prints one JSON object; `ratios` are ours over each other side.
"""

import importlib.util

import common

PEERS = {"pytorch": ("float32", "bfloat16"), "kerashub": ("float32", "mixed_bfloat16")}


def main() -> int:
    options = _parser().parse_args()
    precision = options.precision or ("bfloat16" if common.native_bfloat16() else "float32")
    with common.work_folder(options.work) as work:
        sides = common.Sides(options, work)
        sides.add("ours_keras", "ours", "forward", precision, engine="keras")
        if importlib.util.find_spec("openvino"):
            sides.add("ours_openvino", "ours", "forward", precision, engine="openvino")
            sides.add("openvino_by_hand", "ours", "forward_by_hand", precision)
        sides.add("ours_all_tokens", "ours", "forward_all_tokens", precision)
        for peer in options.peers:
            for theirs in PEERS[peer]:
                sides.add(f"{peer}_{theirs}", peer, "forward", theirs)
        found = sides.run("tokens")
    rates = {name: side["tokens_per_s"] for name, side in found.items()}
    ours = max(("ours_keras", "ours_openvino"), key=lambda name: rates.get(name) or 0)
    results = {
        "ours": ours,
        "precision": precision,
        "tokens_per_s": rates,
        "ratios": {name: common.ratio(rates.get(ours), rate) for name, rate in rates.items() if name != ours},
        "ours_openvino_to_openvino_by_hand": common.ratio(rates.get("ours_openvino"), rates.get("openvino_by_hand")),
        "sides": found,
        "sizes": sides.sizes(),
    }
    return common.report("forward", results, sides.versions)


def _parser():
    parser = common.parser(__doc__, "python benchmarks/forward.py --data reviews.csv --size minilm")
    common.add_tokens(parser, texts=512, slow_texts=8, peers=PEERS)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="of our sides; if left out, what the processor "
                        "has")  # fmt: skip
    return parser


if __name__ == "__main__":
    common.main(main)
