"""The feed: hydrate → fetch → filter → score → select → log. `pipeline.py` is the list of stages."""
