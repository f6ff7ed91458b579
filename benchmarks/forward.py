"""The frozen forward pass in real tokens per second: one vector for each of many real reviews.

Padding does not count: a side that pads more is slower for it. The sides run in turn, and the median counts. On a
processor without bfloat16 it is emulated, which takes minutes: such a side runs once, on few texts with the same mix of
lengths, and is marked as emulated. With --family the model is of base size with random weights, and a batch of texts of 128
tokens takes the place of the reviews, and another of such lengths as real texts have. Prints one JSON object; `ratios` are ours
over each other side.
"""

import importlib.util
import statistics
import sys
from pathlib import Path

import common
import peers

sys.path.append(str(Path(__file__).parent / "peers"))
from shared import FAMILIES

PEERS = {"pytorch": ("float32", "bfloat16"), "kerashub": ("float32", "mixed_bfloat16")}


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    precision = options.precision or ("bfloat16" if common.native_bfloat16() else "float32")
    if options.family:
        return of_families(options, precision)
    if not options.data:
        parser.error("the following arguments are required: --data, or --family")
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


def of_families(options, precision: str) -> int:
    """The families one after the other, full texts and padded ones: ours in one precision, PyTorch in eager mode in two."""
    seconds, ratios, versions, failed = {}, {}, {}, {}
    sizes = {"batch_size": options.batch_size, "tokens": 128, "times": 3}
    for family in options.family:
        sides = _sides_of({"job": "family", "slow": False, "family": family, **sizes}, options, precision)
        runs = common.in_turn(sides, options.venvs, options.repeats)
        versions |= {name: of_side[0].pop("versions", None) for name, of_side in runs.items()}
        failed |= {f"{family}, {name}": of_side[0] for name, of_side in runs.items() if "error" in of_side[0]}
        for fill in ("full", "padded"):
            row = {name: _seconds(of_side, fill) for name, of_side in runs.items()}
            best = min((value for name, value in row.items() if "pytorch" in name and value), default=None)
            seconds[f"{family}, {fill}"] = row
            ratios[f"{family}, {fill}"] = {
                name: common.ratio(best, value) for name, value in row.items() if "pytorch" not in name
            }
    results = {"precision": precision, "seconds": seconds, "ratios_to_the_better_pytorch": ratios, "failed": failed}
    return common.report("forward, families", {**results, "sizes": {**sizes, "repeats": options.repeats}}, versions)


def _sides_of(settings: dict, options, precision: str) -> dict[str, tuple[str, dict]]:
    """Returns the sides for one family, name -> `(peer, settings)`."""
    ours = {"ours": ("keras", False), "ours_all_tokens": ("keras", True)}
    if importlib.util.find_spec("openvino"):
        ours["ours_openvino_all_tokens"] = ("openvino", True)
    sides = {
        name: (peers.OURS, {**settings, "precision": precision, "engine": engine, "all_tokens": all_tokens})
        for name, (engine, all_tokens) in ours.items()
    }
    for of_pytorch in PEERS["pytorch"] if "pytorch" in options.peers else ():
        sides[f"pytorch_{of_pytorch}"] = ("pytorch", {**settings, "precision": of_pytorch})
    return {name: side for name, side in sides.items() if not options.sides or name in options.sides}


def _seconds(runs: list[dict], fill: str) -> float | None:
    """Returns the median seconds of a side for a batch, None if it failed."""
    return None if "error" in runs[0] else round(statistics.median(run[fill]["seconds"] for run in runs), 3)


def _parser():
    example = "python benchmarks/forward.py --data reviews.csv --size minilm"
    parser = common.parser(__doc__, example, common.OF_SIDES, data=None, texts=512, slow_texts=8, peers=PEERS)
    precisions = ("float32", "bfloat16")
    parser.add_argument(
        "--family",
        type=lambda value: list(FAMILIES) if value == "all" else common.names(FAMILIES)(value),
        metavar="NAMES",
        help=f"model families, separated by commas, or all: {', '.join(FAMILIES)}",
    )
    parser.add_argument(
        "--precision", choices=precisions, help="of our sides; default: what the processor has natively"
    )
    return parser


if __name__ == "__main__":
    common.main(main)
