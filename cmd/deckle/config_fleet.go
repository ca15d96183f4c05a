package main

import "time"

// fleetSettings are the flags of what nodes that share a Redis tell each other.
type fleetSettings struct {
	FleetWait    string `default:"auto" help:"How long to wait for a picture that another node renders, before rendering it here; auto is --render-timeout."`
	FleetLease   string `default:"2s" help:"How long after a node died in the midst of a render another one takes it over."`
	FleetTimeout string `default:"50ms" help:"How long Redis may take to say who renders; it is asked twice, and then every node renders for itself."`
}

// fleetTimes is fleetSettings, read.
type fleetTimes struct{ wait, lease, timeout time.Duration }

// resolve reads the settings; faults are kept in r.
func (s *fleetSettings) resolve(r *reader, renderTimeout time.Duration) fleetTimes {
	times := fleetTimes{
		wait: renderTimeout, lease: r.duration("fleet-lease", s.FleetLease, 100*time.Millisecond),
		timeout: r.duration("fleet-timeout", s.FleetTimeout, time.Millisecond),
	}
	if s.FleetWait != "auto" {
		times.wait = r.duration("fleet-wait", s.FleetWait, time.Millisecond)
	}
	return times
}
