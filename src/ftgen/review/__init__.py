"""What a person looks at before a change is merged or a job runs: differences, the pods to come, and pages of both."""
