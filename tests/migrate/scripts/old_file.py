# Stops: the name of the file that save_pretrained wrote.
import os

from transformers import TFDistilBertForSequenceClassification

TFDistilBertForSequenceClassification.from_pretrained(os.environ["START"]).save_pretrained("saved")
open("saved/tf_model.h5", "rb")
