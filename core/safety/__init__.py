"""What may be asked for and shown: prompts against word lists, pictures against a classifier.

A prompt is read in several ways (`folding`), its words are found however they are spelled or spaced
(`entries`, `matcher`), and lists and rules that are data decide (`policy`).
"""
