"""The stage that picks a page of different things."""
