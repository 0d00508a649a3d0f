"""Judgement becomes something to look at: figures and terminal tables."""
