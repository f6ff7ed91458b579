"""The frozen forward pass in real tokens per second: one vector for each of many real reviews.

Padding does not count: a side that pads more is slower for it. The sides run in turn, and the median counts. On a
processor without bfloat16 it is emulated, which takes minutes: such a side runs once, on few texts with the same mix of
lengths, and is marked as emulated. Prints one JSON object; `ratios` are ours over each other side.
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
            for peer_precision in PEERS[peer]:
                sides.add(f"{peer}_{peer_precision}", peer, "forward", peer_precision)
        measured = sides.run("tokens")
    rates = {name: side["tokens_per_s"] for name, side in measured.items()}
    ours = max(("ours_keras", "ours_openvino"), key=lambda name: rates.get(name) or 0)
    results = {
        "ours": ours,
        "precision": precision,
        "tokens_per_s": rates,
        "ratios": {name: common.ratio(rates.get(ours), rate) for name, rate in rates.items() if name != ours},
        "ours_openvino_to_openvino_by_hand": common.ratio(rates.get("ours_openvino"), rates.get("openvino_by_hand")),
        "sides": measured,
        "sizes": sides.sizes(),
    }
    return common.report("forward", results, sides.versions)


def _parser():
    example = "python benchmarks/forward.py --data reviews.csv --size minilm"
    parser = common.parser(__doc__, example, common.OF_SIDES, texts=512, slow_texts=8, peers=PEERS)
    precisions = ("float32", "bfloat16")
    parser.add_argument(
        "--precision", choices=precisions, help="of our sides; default: what the processor has natively"
    )
    return parser


if __name__ == "__main__":
    common.main(main)
