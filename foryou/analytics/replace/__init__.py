"""`python -m foryou.analytics.replace`: asks the analytics process to replace a day with what the night computed."""
