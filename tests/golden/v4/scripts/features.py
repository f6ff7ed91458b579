# Feature extraction: hidden states and attentions of the base, and of a classifier; the base inside a Keras model.
import os

from transformers import AutoTokenizer, TFAutoModel, TFAutoModelForSequenceClassification, TFDistilBertModel

checkpoint = os.environ["START"]
texts = ["this works very good !", "it broke", "never again , cheap"]

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
encoded = tokenizer(texts, padding=True, return_tensors="tf")
base = TFAutoModel.from_pretrained(checkpoint, output_hidden_states=True, output_attentions=True)
outputs = base(encoded)

classifier = TFAutoModelForSequenceClassification.from_pretrained(checkpoint)
classified = classifier(encoded, output_hidden_states=True, output_attentions=True)

RESULT = {
    "keys": list(outputs.keys()),
    "last_hidden_state": outputs.last_hidden_state.numpy().tolist(),
    "hidden_states": [state.numpy().tolist() for state in outputs.hidden_states],
    "attentions": [attention.numpy().tolist() for attention in outputs.attentions],
    "first_token": TFDistilBertModel.from_pretrained(checkpoint)(**encoded)[0][:, 0].numpy().tolist(),
    "classifier_keys": list(classified.keys()),
    "classifier_attentions": [attention.numpy().tolist() for attention in classified.attentions],
    "logits": classified.logits.numpy().tolist(),
    "embeddings": base.get_input_embeddings().weights[0].numpy().shape[0],
}
