package proxy

// Forget drops what is remembered of failures with the sources that covers accepts, so that they are tried again at once.
func (p *Proxy) Forget(covers func(source string) bool) {
	for _, key := range p.failures.list.Keys() {
		if covers(key.Source) {
			p.failures.list.Remove(key)
		}
	}
}
