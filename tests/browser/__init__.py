"""The page in a real browser, against the real API and a real worker."""
