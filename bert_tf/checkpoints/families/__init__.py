"""How Hugging Face spells each model family: data only, no Keras."""
