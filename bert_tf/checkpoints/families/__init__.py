"""What Hugging Face's files call things in each model family, one file each."""
