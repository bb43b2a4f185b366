"""``ml-intern "prompt"``: one task, no questions, an exit code that a script can read.

The app uses parts of this package too, so the run itself is imported from ``headless.run`` by whoever starts one.
"""
