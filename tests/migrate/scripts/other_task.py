# Stops: a class of another task.
from transformers import AutoTokenizer, TFBertForTokenClassification
