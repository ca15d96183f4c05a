package ingest

import (
	"context"
	"encoding/json"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// What Ensure looks at.
const (
	// jobsLooked bounds the jobs of one source: all that wait are among them, as there are never so many.
	jobsLooked = 1000
	// madeTold is how long an output that was made counts as made although it is not found: another node may have made it, and what
	// nodes share is written behind the answer.
	madeTold = time.Minute
	// failureTold is how long an output that could not be made is not tried again; who asks is told why.
	failureTold = 10 * time.Minute
)

// Ensure is Process of what is neither made nor in the queue already, so that asking again says how far it is: an output is done when
// its variant is stored, or when a moment ago it could not be made. Those that are under way say in which job; the Job that is
// returned has no ID of its own. An output that can never be made is done with its error, and not queued. Errors are those of
// Process.
func (s *Service) Ensure(ctx context.Context, id string, outputs []string, wait bool) (Job, error) {
	info, err := s.processable(ctx, id, outputs)
	if err != nil {
		return Job{}, err
	}
	states, err := s.outputsOf(ctx, id, info.Version)
	if err != nil {
		return Job{}, err
	}
	job := Job{Source: id, Outputs: make([]Output, len(outputs))}
	lacking := 0
	for i, name := range outputs {
		job.Outputs[i] = s.found(ctx, id, name, states)
		if !job.Outputs[i].Done && job.Outputs[i].Job == "" {
			lacking++
		}
	}
	if lacking > 0 {
		if err := s.enqueueLacking(ctx, &job, info, lacking); err != nil {
			return job, err
		}
	}
	if job.end(); job.Done || !wait {
		return job, nil
	}
	return s.awaitOutputs(ctx, job, info)
}

// end says whether all of a job is done.
func (j *Job) end() {
	j.Done = true
	for _, o := range j.Outputs {
		j.Done = j.Done && o.Done
	}
}

// outputState is a job that makes an output.
type outputState struct {
	outputJob
	catalog.JobState
}

// outputsOf returns the jobs that make outputs of a source, those that wait first, then those that ended last.
func (s *Service) outputsOf(ctx context.Context, id, version string) ([]outputState, error) {
	list, err := s.config.Catalog.JobsOf(ctx, kindOutput, id, version, jobsLooked)
	return outputStates(list), err
}

func outputStates(list []catalog.JobState) []outputState {
	states := make([]outputState, 0, len(list))
	for _, state := range list {
		var what outputJob
		if json.Unmarshal(state.Payload, &what) == nil { // else nobody can make it
			states = append(states, outputState{what, state})
		}
	}
	return states
}

// stateOf returns the first job that makes an output, of the batch if one is named.
func stateOf(states []outputState, name, batch string) (outputState, bool) {
	for _, state := range states {
		if state.Output == name && (batch == "" || state.Batch == batch) {
			return state, true
		}
	}
	return outputState{}, false
}

// found says how far an output is; it is neither done nor under way when it has to be made.
func (s *Service) found(ctx context.Context, id, name string, states []outputState) Output {
	o := Output{Name: name}
	if err := s.CheckOutput(name); err != nil {
		o.Done, o.Err = true, err
		return o
	}
	state, known := stateOf(states, name, "")
	if known && state.State == catalog.JobDue {
		o.Job = state.Batch
		return o
	}
	// Whatever keeps it from being found is met again by the job that makes it.
	if made, there, err := s.config.Renderer.Look(ctx, id, name); err == nil && there {
		o.Done, o.Rendered = true, made
		return o
	}
	if !known {
		return o
	}
	made, at, err := endOf(state.JobState)
	told := madeTold
	if err != nil {
		told = failureTold
	}
	if s.config.Now().Sub(at) < told {
		o.Done, o.Rendered, o.Err = true, made, err
	}
	return o
}

// enqueueLacking puts what has to be made into the queue, and says of each in which job it is made.
func (s *Service) enqueueLacking(ctx context.Context, job *Job, info origin.Info, lacking int) error {
	if err := s.queueable(ctx, lacking); err != nil {
		return err
	}
	return s.config.Catalog.EnqueueLacking(ctx, kindOutput, job.Source, info.Version, jobsLooked, func(there []catalog.JobState) []catalog.Job {
		states, queued, names := outputStates(there), map[string]bool{}, []string{}
		for i := range job.Outputs {
			o := &job.Outputs[i]
			state, known := stateOf(states, o.Name, "")
			switch {
			case o.Done:
			case known && state.State == catalog.JobDue: // somebody else asked meanwhile
				o.Job = state.Batch
			case !queued[o.Name]:
				queued[o.Name], names = true, append(names, o.Name)
			}
		}
		batch, list := outputJobs(job.Source, info.Version, names, s.config.Now())
		for i := range job.Outputs {
			if queued[job.Outputs[i].Name] {
				job.Outputs[i].Job = batch
			}
		}
		return list
	})
}

// awaitOutputs returns the job when all that is under way has ended.
func (s *Service) awaitOutputs(ctx context.Context, job Job, info origin.Info) (Job, error) {
	return s.whenDone(ctx, func() (Job, error) {
		states, err := s.outputsOf(ctx, job.Source, info.Version)
		for i := range job.Outputs {
			o := &job.Outputs[i]
			if state, known := stateOf(states, o.Name, o.Job); !o.Done && known && state.State != catalog.JobDue {
				o.Done, o.Job = true, ""
				o.Rendered, o.Err = resultOf(state.JobState)
			}
		}
		job.end()
		return job, err
	})
}
