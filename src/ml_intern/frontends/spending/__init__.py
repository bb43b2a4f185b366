"""What a session has cost, folded from its events and told: by ``/cost`` in the app and by ``ml-intern sessions cost``."""
