"""``make bench``: what ml-intern costs, beside two floors measured in the same run."""
