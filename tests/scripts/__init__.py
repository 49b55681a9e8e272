"""Tests of the container scripts."""
