"""What the program knows, made fit to be shown: text, charts, documents. No screen library here."""
