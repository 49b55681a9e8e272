"""What becomes of a job on the cluster: the pods that its controller creates, and what their containers see.

The rules and the preview read the same functions, so that a rule cannot refuse what the preview shows to work.
"""
