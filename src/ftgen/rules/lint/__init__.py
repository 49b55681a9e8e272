"""What is allowed and still goes wrong: rules over any VolcanoJob, written by ftgen or not.

They know the manifest, the claims beside it and the facts of the cluster; a rule that needs a fact which nobody has
stated is skipped, never guessed.
"""
