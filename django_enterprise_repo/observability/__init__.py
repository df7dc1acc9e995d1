"""What a person on call sees: metrics and structured logs, both fed by the operation scope and the breakers.

Nothing here carries correctness, and nothing here may break a call.
"""
