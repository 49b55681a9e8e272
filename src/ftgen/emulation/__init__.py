"""What will become of a job, found out without running it.

`controller` and `kubelet` make the pods that its controller creates and what their containers see, `estimate` the
memory and the disk space that its training takes, `datasets` what the trainer makes of its data.  The rules, the
preview and the commands read the same functions, so that a rule cannot refuse what the preview shows to work.
"""
