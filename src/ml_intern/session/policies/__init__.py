"""The rules of the loop, one small pure class a file. The loop never learns their names; ``app.py`` gives them their order."""
