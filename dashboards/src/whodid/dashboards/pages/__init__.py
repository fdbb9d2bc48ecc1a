"""The pages: an investigator's answers, in a browser, from the store's questions and nothing else."""
