"""Stand-ins: servers that speak a provider's wire format, paint quick pictures and fail on demand.

They need no account and no network. Tests use them, and so does `mintari up --stand-in`.
"""
