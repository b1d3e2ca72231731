"""Fine-tune pretrained transformers on your own labelled text."""
