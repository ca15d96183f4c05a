package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"deckle/auth"
	"deckle/catalog"

	"github.com/danielgtaylor/huma/v2"
)

// Accounts is where users' accounts are kept.
type Accounts interface {
	Account(ctx context.Context, owner string) (catalog.Account, error)
	Accounts(ctx context.Context, after string, limit int) ([]catalog.Account, error)
	AddAccount(ctx context.Context, owner string, now time.Time) error
	LimitAccount(ctx context.Context, owner string, l catalog.Limits) error
}

// AccountDeleter deletes accounts, with all that they own, after it has answered.
type AccountDeleter interface {
	Delete(ctx context.Context, owner string) error
}

// userAnswer is an account as clients read it.
type userAnswer struct {
	User          string    `json:"user"`
	Created       time.Time `json:"created"`
	Pictures      int64     `json:"pictures" doc:"That the user has, uploads under way included."`
	Bytes         int64     `json:"bytes" doc:"Of their stored originals."`
	LimitPictures int64     `json:"limit_pictures" doc:"0 is no limit."`
	LimitBytes    int64     `json:"limit_bytes" doc:"0 is no limit."`
	Deleting      bool      `json:"deleting,omitempty" doc:"The account is being deleted."`
}

func userOf(a catalog.Account) userAnswer {
	return userAnswer{a.Owner, a.Created, a.Pictures, a.Bytes, a.LimitPictures, a.LimitBytes, a.Deleting}
}

type usersAnswer struct {
	Users []userAnswer `json:"users" doc:"In the order of their names."`
	Next  string       `json:"next,omitempty" doc:"What after is for the next page; absent at the end."`
}

// userRequest names a user.
type userRequest struct {
	User string `json:"user,omitempty" maxLength:"255" doc:"For operators: whose account; users make their own."`
}

type limitsRequest struct {
	LimitPictures *int64 `json:"limit_pictures,omitempty" minimum:"-1" doc:"0 is no limit, -1 that of all; as it was unless given."`
	LimitBytes    *int64 `json:"limit_bytes,omitempty" minimum:"-1" doc:"Likewise."`
}

const (
	missingUser = "There is no account of that user."
	noUser      = "The key or token is nobody's: it names no user."
)

// userInPath is the path of an operation on one user.
type userInPath struct {
	User string `path:"user" doc:"The user's name, as tokens have it; slashes as %2F."`
}

// routeUsers adds what is done with accounts.
func (a *Admin) routeUsers(d *api) {
	if a.Accounts == nil {
		return
	}
	const (
		me  = "/users/me"
		one = "/users/{user}"
	)
	add := operation(http.MethodPost, "/users", "createUser", "access", "Make an account", "Of the user whom the token names. Without one the first upload makes it.", forbid, conflict, away)
	add.DefaultStatus = http.StatusCreated
	huma.Register(d, add, a.createUser)
	huma.Register(d, operation(http.MethodGet, "/users", "users", "access", "List accounts", "", away), a.listUsers)
	huma.Register(d, operation(http.MethodGet, me, "me", "access", "One's own account", "What it has, and may have.", missed, forbid, away), a.me)
	huma.Register(d, operation(http.MethodGet, one, "user", "access", "An account", "", missed, away), a.user)
	huma.Register(d, operation(http.MethodPatch, one, "limitUser", "access", "Limit an account", "", missed, away), a.limitUser)
	remove := func(path, id, summary string) huma.Operation {
		op := operation(http.MethodDelete, path, id, "access", summary, "All pictures of the user are deleted for good, and the account with them. They go after the answer, over restarts, and nothing can be added meanwhile.", missed, forbid, away)
		op.DefaultStatus = http.StatusAccepted
		return op
	}
	huma.Register(d, remove(me, "deleteMe", "Delete one's own account"), a.deleteMe)
	huma.Register(d, remove(one, "deleteUser", "Delete an account"), a.deleteUser)
}

// createUser answers POST /users.
func (a *Admin) createUser(ctx context.Context, asked *struct {
	Body *userRequest `required:"false"`
}) (*said[userAnswer], error) {
	caller := auth.From(ctx)
	user := caller.User
	if asked.Body != nil && asked.Body.User != "" {
		if user = asked.Body.User; user != caller.User && !caller.Admin {
			return nil, newProblem(http.StatusForbidden, "user", "Users make their own accounts only.")
		}
	}
	if user == "" {
		return nil, newProblem(http.StatusForbidden, "user", noUser)
	}
	if err := auth.CheckUser(user); err != nil {
		return nil, fieldProblem("user", err.Error())
	}
	if err := a.Accounts.AddAccount(ctx, user, time.Now()); errors.Is(err, catalog.ErrExists) {
		return nil, newProblem(http.StatusConflict, "user", "The user has an account already.")
	} else if err != nil {
		return nil, a.problemOf("create user", "", err)
	}
	account, err := a.account(ctx, user)
	if err != nil {
		return nil, err
	}
	return &said[userAnswer]{http.StatusCreated, *account}, nil
}

func (a *Admin) account(ctx context.Context, user string) (*userAnswer, error) {
	account, err := a.Accounts.Account(ctx, user)
	if err != nil {
		return nil, a.recordFault("user", missingUser, err)
	}
	answer := userOf(account)
	return &answer, nil
}

// listUsers answers GET /users.
func (a *Admin) listUsers(ctx context.Context, asked *struct {
	After string `query:"after" doc:"Begin after this user."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*said[usersAnswer], error) {
	list, err := a.Accounts.Accounts(ctx, asked.After, asked.Limit)
	if err != nil {
		return nil, a.problemOf("list users", "", err)
	}
	body := usersAnswer{Users: make([]userAnswer, len(list))}
	for i, account := range list {
		body.Users[i] = userOf(account)
	}
	if len(list) == asked.Limit {
		body.Next = list[len(list)-1].Owner
	}
	return &said[usersAnswer]{http.StatusOK, body}, nil
}

// me answers GET /users/me.
func (a *Admin) me(ctx context.Context, _ *struct{}) (*said[userAnswer], error) {
	user := auth.From(ctx).User
	if user == "" {
		return nil, newProblem(http.StatusForbidden, "", noUser)
	}
	return a.user(ctx, &userInPath{user})
}

// user answers GET /users/{user}.
func (a *Admin) user(ctx context.Context, asked *userInPath) (*said[userAnswer], error) {
	account, err := a.account(ctx, asked.User)
	if err != nil {
		return nil, err
	}
	return &said[userAnswer]{http.StatusOK, *account}, nil
}

// limitUser answers PATCH /users/{user}.
func (a *Admin) limitUser(ctx context.Context, asked *struct {
	User string `path:"user" doc:"The user's name, as tokens have it; slashes as %2F."`
	Body limitsRequest
}) (*said[userAnswer], error) {
	user := asked.User
	account, err := a.Accounts.Account(ctx, user)
	if err != nil {
		return nil, a.recordFault("limit user", missingUser, err)
	}
	limits := account.Own
	if given := asked.Body.LimitPictures; given != nil {
		limits.Pictures = *given
	}
	if given := asked.Body.LimitBytes; given != nil {
		limits.Bytes = *given
	}
	if err := a.Accounts.LimitAccount(ctx, user, limits); err != nil {
		return nil, a.recordFault("limit user", missingUser, err)
	}
	return a.user(ctx, &userInPath{user})
}

// deletingSaid is the answer to a deletion that has been decided.
type deletingSaid struct {
	Status int
	Body   struct {
		User     string `json:"user"`
		Deleting bool   `json:"deleting"`
	}
}

// deleteMe answers DELETE /users/me.
func (a *Admin) deleteMe(ctx context.Context, _ *struct{}) (*deletingSaid, error) {
	user := auth.From(ctx).User
	if user == "" {
		return nil, newProblem(http.StatusForbidden, "", noUser)
	}
	return a.deleteUser(ctx, &userInPath{user})
}

// deleteUser answers DELETE /users/{user}.
func (a *Admin) deleteUser(ctx context.Context, asked *userInPath) (*deletingSaid, error) {
	if err := a.AccountDeleter.Delete(ctx, asked.User); err != nil {
		return nil, a.recordFault("delete user", missingUser, err)
	}
	a.keysChanged() // those of the account are gone
	a.Log.Info("an account is being deleted", slog.String("by", auth.From(ctx).Key))
	said := &deletingSaid{Status: http.StatusAccepted}
	said.Body.User, said.Body.Deleting = asked.User, true
	return said, nil
}
