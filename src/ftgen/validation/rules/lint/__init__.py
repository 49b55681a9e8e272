"""Lint rules: a VolcanoJob, of ftgen or not, that the API server accepts and that fails or wastes cards at run time.

They read the manifest, the claims that come with it and the facts of the cluster; a rule that needs a fact that nobody
has stated is skipped, never guessed.
"""
