"""What happens because a page was served."""
