"""The demo: every verb on real data, with what it cost."""
