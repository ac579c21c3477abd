"""The HTTP side: shapes and statuses. What an answer is stands in `answering`."""
