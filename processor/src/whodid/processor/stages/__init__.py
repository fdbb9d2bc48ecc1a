"""The pipeline's stages, each a function from batch to batch in a file of its own."""
