"""Every name that transformers 4 exported to TensorFlow users: what bert_tf has for it, or what to write instead.

One table with three readers: `from bert_tf import NAME` (what it has, or an error that says what to write), `bert-tf migrate`,
and docs/migrating.md. The first row that fits a name counts.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.checkpoints.heads import class_names


class Row(NamedTuple):
    """What is known of some names.

    Attributes:
        names: names with blanks between them, or one regular expression.
        home: the module of bert_tf that has them; "" = bert_tf has none of them.
        note: with a home what differs; without one what to write instead, `{name}` being the name.
        shown: for a regular expression, how the documentation shows it.
    """

    names: str
    home: str = ""
    note: str = ""
    shown: str = ""


KNOWN = ", ".join(family.name for family in FAMILIES.values())
PYTORCH = "`from transformers import {name}` works as before"

ROWS = (
    # models
    Row("TFAutoModel TFAutoModelForSequenceClassification", "models.auto"),
    *(
        Row(
            " ".join(names for kind, names in class_names(family).items() if kind in (None, "first_token")),
            "models.auto",
        )
        for family in FAMILIES.values()
    ),
    Row(
        " ".join(f"TF{family.name}PreTrainedModel TF{family.name}MainLayer" for family in FAMILIES.values())
        + " TFPreTrainedModel",
        "transformers4.subclassing",
        "to subclass: the names of the layers below the main layer are bert_tf's own",
    ),
    Row(
        "TFBaseModelOutput TFBaseModelOutputWithPooling TFSequenceClassifierOutput",
        "models.outputs",
        "named tuples: iterating gives values, not keys, and fields cannot be set",
    ),
    Row(
        "TFBaseModelOutputWithPoolingAndCrossAttentions",
        note="TFBaseModelOutputWithPooling: there is no cross-attention here",
    ),
    # tokenizers, configs and what transformers 5 still has and works without PyTorch
    Row("AutoTokenizer", "transformers4.tokenizers"),
    *(
        Row(" ".join(family.tokenizers), "transformers4.tokenizers")
        for family in FAMILIES.values()
        if family.tokenizers
    ),
    Row("AutoConfig", "transformers4.tokenizers"),
    *(Row(family.config_class, "transformers4.tokenizers") for family in FAMILIES.values()),
    Row(
        "PreTrainedTokenizer PreTrainedTokenizerFast PreTrainedTokenizerBase BatchEncoding PretrainedConfig AddedToken "
        "TensorType CONFIG_NAME WEIGHTS_NAME HfArgumentParser",
        "transformers4.tokenizers",
    ),
    Row("is_tf_available is_tensorflow_text_available is_keras_nlp_available", note="True: leave the question out"),
    Row("TF2_WEIGHTS_NAME", note='"tf_model.h5"; bert_tf writes model.safetensors'),
    Row("BasicTokenizer WordpieceTokenizer", note="AutoTokenizer: BERT's own two steps are one fast tokenizer now"),
    Row(
        r"TF\w*Tokenizer",
        note="AutoTokenizer before the model: no tokenizer is part of a graph here",
        shown="TFBertTokenizer and others in the graph",
    ),
    # training
    Row("create_optimizer", "transformers4.optimizer"),
    Row("WarmUp AdamWeightDecay", "transformers4.optimizer"),
    Row("KerasMetricCallback", "transformers4.callbacks", "without predict_with_generate: no model here writes text"),
    Row(
        "PushToHubCallback",
        "transformers4.callbacks",
        "without checkpoint=True: keras.callbacks.BackupAndRestore does that",
    ),
    Row("DataCollatorWithPadding", "data.rows", 'return_tensors is "tf" by default'),
    Row("DefaultDataCollator default_data_collator", "transformers4.examples", 'return_tensors is "tf" by default'),
    Row("InputExample InputFeatures glue_convert_examples_to_features", "transformers4.examples"),
    Row("glue_tasks_num_labels glue_output_modes", "transformers4.examples"),
    Row(
        "TFTrainer TFTrainingArguments",
        "transformers4.trainer",
        "a thin face over `fit`: no checkpoints on the way, an evaluation after an epoch at most",
    ),
    Row("EvalPrediction PredictionOutput", "transformers4.trainer"),
    Row("set_seed get_initializer shape_list GradientAccumulator", "transformers4.utilities"),
    Row(
        "pipeline TextClassificationPipeline FeatureExtractionPipeline",
        "transformers4.pipelines",
        "text classification and feature extraction; long texts are cut; bert_tf.predict is quicker for many texts",
    ),
    Row("Pipeline", "transformers4.pipelines"),
    Row("logging", "transformers4", "sets bert_tf's own log too"),
    # gone from transformers 5 as well
    Row("AdamW", note="keras.optimizers.AdamW, or create_optimizer with weight_decay_rate"),
    Row("AutoModelWithLMHead AutoModelForVision2Seq", note="transformers 5's AutoModelForCausalLM and others"),
    Row(
        "QuestionAnsweringPipeline SummarizationPipeline Text2TextGenerationPipeline TranslationPipeline ImageToTextPipeline "
        "ImageToImagePipeline VisualQuestionAnsweringPipeline",
        note="nothing: transformers 5 dropped it, and bert_tf classifies texts",
    ),
    Row("ModelCard", note="huggingface_hub.ModelCard, or `model.create_model_card(folder)`"),
    Row("TRANSFORMERS_CACHE PYTORCH_TRANSFORMERS_CACHE PYTORCH_PRETRAINED_BERT_CACHE", note="the variable HF_HOME"),
    Row("is_safetensors_available", note="True: leave the question out"),
    Row("is_flax_available is_sigopt_available", note="False: leave the question out"),
    Row("SpecialTokensMixin", note="PreTrainedTokenizerBase, which has its methods"),
    Row("DataCollatorForWholeWordMask DataCollatorForSOP", note="transformers 5's DataCollatorForLanguageModeling"),
    Row(
        "ChunkedSlidingLayer HQQQuantizedCache HybridCache HybridChunkedCache OffloadedCache OffloadedStaticCache SinkCache "
        "QuantoQuantizedCache SlidingWindowCache SlidingWindowLayer BeamScorer ConstrainedBeamSearchScorer Constraint "
        "ConstraintListState DisjunctiveConstraint PhrasalConstraint infer_device prune_layer MistralCommonTokenizer "
        "BaseImageProcessorFast MODEL_FOR_VISION_2_SEQ_MAPPING MODEL_NAMES_MAPPING MODEL_WITH_LM_HEAD_MAPPING",
        note="nothing: for PyTorch models that write text or see",
        shown="caches, beams and other parts of PyTorch models",
    ),
    # gone
    Row(
        "DataProcessor SingleSentenceClassificationProcessor glue_processors",
        note="read the file with pandas or `bert_tf.read_examples(file)`",
    ),
    Row("glue_compute_metrics xnli_compute_metrics", note="scikit-learn's metrics"),
    Row(
        r"xnli_\w+|squad_\w+|Squad\w+",
        note="the package `datasets`: only text classification is here",
        shown="xnli_..., squad_..., Squad...",
    ),
    Row(
        "GlueDataset GlueDataTrainingArguments LineByLineTextDataset LineByLineWithRefDataset LineByLineWithSOPTextDataset "
        "TextDataset TextDatasetForNextSentencePrediction",
        note="the package `datasets`, or `bert_tf.read_examples(file)`",
    ),
    Row(
        r"TFSharedEmbeddings|TFBertEmbeddings|TF\w+Embeddings",
        note="keras.layers.Embedding, or `bert_tf.models.layers.Embeddings`",
        shown="TFSharedEmbeddings, TFBertEmbeddings and others",
    ),
    Row("TFSequenceSummary", note="output.last_hidden_state[:, 0], the first token, or a mean over the tokens"),
    Row(
        r"load_(pytorch|tf2)_\w+|convert_tf_weight_name_to_pt_weight_name|load_tf_weights_in_\w+",
        note="`bert-tf convert SRC DST`: the file is recognised, and safetensors written that every library reads",
        shown="load_pytorch_..., load_tf2_... and others that convert",
    ),
    Row(
        r"(TF|TF_)\w*(LogitsProcessor|LogitsProcessorList|LogitsWarper|GenerationMixin)",
        note="nothing: no model here writes text",
        shown="TF...LogitsProcessor, TF...LogitsWarper, TFGenerationMixin",
    ),
    Row(
        r"TF_MODEL_\w*MAPPING\w*|TF_MODEL_MAPPING",
        note="TFAutoModel or TFAutoModelForSequenceClassification",
        shown="TF_MODEL_..._MAPPING",
    ),
    Row(
        r"TFAutoModel\w+",
        note="TFAutoModelForSequenceClassification or TFAutoModel: bert_tf classifies texts",
        shown="TFAutoModelFor... of other tasks",
    ),
    Row(
        rf"TF({'|'.join(family.name for family in FAMILIES.values())})(For|LMHead)\w+",
        note="TF...ForSequenceClassification or TF...Model: bert_tf classifies texts; for other tasks PyTorch's class of this "
        "name without TF",
        shown="TF...For... of other tasks, TF...LMHeadModel",
    ),
    # transformers lists these only where PyTorch is installed
    Row(
        "CacheLayerMixin DynamicLayer StaticLayer StaticSlidingWindowLayer HQQQuantizedLayer QuantoQuantizedLayer "
        "get_cosine_with_min_lr_schedule_with_warmup get_cosine_with_min_lr_schedule_with_warmup_lr_rate "
        "get_reduce_on_plateau_schedule",
        note="`from transformers import {name}`, with PyTorch installed",
        shown="layers of a cache and schedules that are PyTorch's",
    ),
    Row(
        r"TF\w+",
        note=f"a class of one of these families: {KNOWN}. bert_tf classifies texts with them",
        shown="TF... of other families",
    ),
    Row(r"Flax\w+|FLAX_\w+", note="nothing: transformers 5 dropped Flax, and bert_tf never had it", shown="Flax..."),
    Row(r"\w+OnnxConfig", note="`model.export(folder)`, then tf2onnx or optimum", shown="...OnnxConfig"),
)


def row_of(name: str) -> Row | None:
    """Returns the row of a name; None = the table does not know it."""
    for row in ROWS:
        if name in row.names.split() or (" " not in row.names and re.fullmatch(row.names, name)):
            return row
    return None


def names_with_homes() -> Iterator[tuple[str, str]]:
    """Yields each name that bert_tf has, with the module that has it."""
    for row in ROWS:
        for name in row.names.split() if row.home else ():
            yield name, row.home


def instead(name: str) -> str | None:
    """Returns a sentence: what to write instead of a name of transformers 4 that bert_tf has not; None = it is no such name.

    Looks into the installed transformers for names that the table leaves out: most of them are PyTorch's.
    """
    row = row_of(name)
    if row is not None and not row.home:
        return f"Write instead: {row.note.format(name=name)}."
    if row is None and stays(name):
        return f"Write instead: from transformers import {name}. It is transformers' own, as before."
    return None


def stays(name: str) -> bool:
    """Returns whether a name that the table leaves out is one of the installed transformers."""
    if name.startswith("_"):
        return False
    import transformers

    return name in _listed() or hasattr(transformers, name)  # some old names are not listed


@cache
def _listed() -> frozenset[str]:
    import transformers

    return frozenset(dir(transformers))
