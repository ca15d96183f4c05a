package catalog

// What the load of a million records needs: see library_test.go.
var (
	KeysOf  = keysOf
	TermsOf = termsOf
	Grams   = grams
)
