"""The command `turnout`: one file a noun, and no decision in any of them."""
