"""What other machines hold: repositories of git, clusters, and what movable references stand for now."""
