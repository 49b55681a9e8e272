"""A cluster, read through kubectl with the user's own configuration; nothing there is changed."""
