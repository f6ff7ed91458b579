"""What features of many texts need: peak memory for few and for many texts, and whether the time grows with the tokens.

Each number of texts has a process of its own: model, tokenizing and a cache on disk included. The texts are those of a
file over and over, numbered so that no two are the same. Prints one JSON object.
"""

import statistics

import common
import peers


def main() -> int:
    options = _parser().parse_args()
    with common.work_folder(options.work) as work:
        made = peers.ours("model", size="minilm", work=str(work))
        found = {}
        for texts in sorted({*options.rss, *options.linear}):
            common.say(f"features of {texts:,} texts")
            run = peers.ours(
                "memory", model=made["model"], data=options.data, texts=texts, max_length=options.max_length,
                precision=options.precision, engine=options.engine, work=str(work), probe=options.probe,
            )  # fmt: skip
            found[texts] = {name: round(run[name], 1) for name in ("rss_mb", "cache_mb", "tokens", "seconds")}
            found[texts]["seconds_per_token"] = run["seconds_per_token"]
    rss = [found[texts]["rss_mb"] for texts in options.rss]
    cost = [found[texts]["seconds_per_token"] for texts in options.linear]
    median = statistics.median(cost)
    results = {
        "rss_mb": dict(zip(options.rss, rss, strict=True)),
        "rss_ratio": round(max(rss) / min(rss), 3),
        "seconds_per_token": dict(zip(options.linear, cost, strict=True)),
        "largest_deviation": round(max(abs(value / median - 1) for value in cost), 3),
        "runs": found,
        "sizes": {"size": "minilm", "max_length": options.max_length, "probe_texts": options.probe},
        "engine": options.engine,
        "precision": options.precision,
    }
    return common.report("memory", results, {"ours": made["versions"]})


def _counts(value: str) -> list[int]:
    return [common.count(part) for part in value.split(",")]


def _parser():
    parser = common.parser(__doc__, "python benchmarks/memory.py --data reviews.csv")
    parser.add_argument("--data", type=common.texts_file, required=True, metavar="FILE", help="texts")
    parser.add_argument("--rss", type=_counts, default="2000,50000", metavar="N,N", help="texts to measure memory with")
    parser.add_argument("--linear", type=_counts, default="1000,4000,16000", metavar="N,N,...", help="texts to measure the "
                        "seconds per token with")  # fmt: skip
    parser.add_argument("--probe", type=common.count, default=256, metavar="N", help="other texts, timed first: what they "
                        "take, set-up above all, is taken off the time per token")  # fmt: skip
    parser.add_argument("--max-length", type=common.count, default=32, metavar="N", help="tokens; longer texts are cut")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="what is computed in")
    parser.add_argument("--engine", choices=("keras", "openvino"), default="keras", help="what runs the encoder")
    return parser


if __name__ == "__main__":
    common.main(main)
