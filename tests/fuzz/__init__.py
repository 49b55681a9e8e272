"""Odd inputs of every kind, for all verbs and all files that are read: none ends in a traceback or in exit code 70."""
