"""The recipes' data: each module's `load` gives the same `RecipeData`, real where it is found, a stand-in elsewhere."""
