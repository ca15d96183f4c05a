package catalog

// What the load of a million records needs: see library_test.go.
var (
	KeysOf  = keysOf
	TermsOf = termsOf
	Grams   = grams
)

// Limit sets the limits of a catalog by their order in limits; none for the usual ones.
func (c *Catalog) Limit(l ...int) {
	if c.limits = usualLimits; len(l) > 0 {
		c.limits = limits{l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7], l[8], l[9]}
	}
}
