"""Rules over a job and the objects of its cluster: quotas, limit ranges, queues, priority classes, nodes.

The objects were saved at some moment, without what other jobs use: these rules refuse what an empty cluster would
refuse or could not place, and warn of what waits for others of the same job.
"""
