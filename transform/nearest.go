package transform

// Nearest returns the candidate that word is most likely a misspelling of: the one with the fewest edits (Levenshtein
// distance), the first of equals; empty without candidates. What is looked at of a long word is bounded.
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }
