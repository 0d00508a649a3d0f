"""The search for the choices that train best: its space, its study, its trials."""
