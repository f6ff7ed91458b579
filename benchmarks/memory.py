"""What the features of many texts need: peak memory for few and for many texts, and seconds per token.

Each number of texts has its own process; model, tokenizing and a cache on disk are included. The texts of a file are
repeated, with a number before each so that no two are the same. Prints one JSON object.
"""

import statistics

import common
import peers


def main() -> int:
    options = _parser().parse_args()
    with common.work_folder(options.work) as work:
        model = peers.ours("model", size="minilm", work=str(work))
        measured = {}
        for texts in sorted({*options.rss, *options.linear}):
            common.say(f"features of {texts:,} texts")
            run = peers.ours(
                "memory", model=model["model"], data=options.data, texts=texts, max_length=options.max_length,
                precision=options.precision, engine=options.engine, work=str(work), probe=options.probe,
            )  # fmt: skip
            measured[texts] = {name: round(run[name], 1) for name in ("rss_mb", "cache_mb", "tokens", "seconds")}
            measured[texts]["seconds_per_token"] = run["seconds_per_token"]
    rss = [measured[texts]["rss_mb"] for texts in options.rss]
    cost = [measured[texts]["seconds_per_token"] for texts in options.linear]
    median = statistics.median(cost)
    results = {
        "rss_mb": dict(zip(options.rss, rss, strict=True)),
        "rss_ratio": round(max(rss) / min(rss), 3),
        "seconds_per_token": dict(zip(options.linear, cost, strict=True)),
        "largest_deviation": round(max(abs(value / median - 1) for value in cost), 3),
        "runs": measured,
        "sizes": {"size": "minilm", "max_length": options.max_length, "probe_texts": options.probe},
        "engine": options.engine,
        "precision": options.precision,
    }
    return common.report("memory", results, {"ours": model["versions"]})


def _parser():
    example = "python benchmarks/memory.py --data reviews.csv"
    parser = common.parser(__doc__, example, ["data"], max_length=32)
    many = {"type": common.counts, "metavar": "N,N,..."}
    parser.add_argument("--rss", **many, default="2000,50000", help="numbers of texts to measure memory with")
    parser.add_argument("--linear", **many, default="1000,4000,16000", help="numbers of texts to measure the time with")
    parser.add_argument("--probe", type=common.count, default=256, metavar="N", help="texts that are timed first; their time, "
                        "mostly set-up, is subtracted")  # fmt: skip
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="precision of the encoder"
    )
    parser.add_argument("--engine", choices=("keras", "openvino"), default="keras", help="what runs the encoder")
    return parser


if __name__ == "__main__":
    common.main(main)
