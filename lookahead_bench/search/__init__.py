"""Fair search: the same number of trials and of oracle calls for every method, then fresh seeds at what was chosen."""
