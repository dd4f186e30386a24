// SPDX-License-Identifier: MIT

// Drive calls the package for tests/examples/run, which says what the arguments are, and prints
// what came of it as one line of JSON.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vmmguest"
)

type outcome struct {
	Stdout  hexBytes        `json:"stdout"`
	Stderr  hexBytes        `json:"stderr"`
	Code    int             `json:"code"`
	Signal  int             `json:"signal"`
	Reason  string          `json:"reason,omitempty"`
	Status  json.RawMessage `json:"status,omitempty"`
	Failure string          `json:"failure,omitempty"`
	Text    string          `json:"text,omitempty"`
}

// hexBytes is a buffer that tells of each write.
type hexBytes struct {
	bytes.Buffer
	more func()
}

func (b *hexBytes) Write(p []byte) (int, error) {
	n, err := b.Buffer.Write(p)
	if b.more != nil {
		b.more()
	}
	return n, err
}

func (b hexBytes) MarshalText() ([]byte, error) {
	return []byte(hex.EncodeToString(b.Bytes())), nil
}

type list []string

func (l *list) String() string { return "" }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// failingReader fails where another one ends.
type failingReader struct{ io.Reader }

func (r failingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the source fails")
	}
	return n, err
}

// steps are done one after the other, while a program runs.
type steps struct {
	left    []string
	seen    int
	session *vmmguest.Session
	stdin   *io.PipeWriter
	leave   func()
}

func (s *steps) follow(output *hexBytes) {
	for len(s.left) > 0 {
		name, value, _ := strings.Cut(s.left[0], "=")
		raw, _ := hex.DecodeString(value)
		switch name {
		case "await":
			if !bytes.Contains(output.Bytes()[s.seen:], raw) {
				return
			}
			s.seen = output.Len()
		case "stdin":
			_, _ = s.stdin.Write(raw)
		case "eof":
			s.stdin.Close()
		case "resize":
			var columns, rows uint16
			_, _ = fmt.Sscanf(value, "%dx%d", &columns, &rows)
			_ = s.session.Resize(columns, rows)
		case "signal":
			number, _ := strconv.Atoi(value)
			_ = s.session.Signal(syscall.Signal(number))
		case "leave":
			s.leave()
		}
		s.left = s.left[1:]
	}
}

func main() {
	address, action := os.Args[1], os.Args[2]
	flags := flag.NewFlagSet(action, flag.ExitOnError)
	var env, todo list
	var command vmmguest.Command
	boot := flags.Int("boot", 0, "")
	deadline := flags.Int("deadline", 0, "")
	failing := flags.Bool("failing", false, "")
	mode := flags.Int("mode", 0, "")
	timeout := flags.Uint("timeout", 0, "")
	tty := flags.String("tty", "", "")
	flags.StringVar(&command.Dir, "cwd", "", "")
	flags.StringVar(&command.User, "user", "", "")
	flags.Var(&env, "env", "")
	flags.Var(&todo, "step", "")
	_ = flags.Parse(os.Args[3:])

	ctx, cancel := context.WithCancel(context.Background())
	if *deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*deadline)*time.Millisecond)
	}
	defer cancel()
	var stdin io.Reader = os.Stdin
	if *failing {
		stdin = failingReader{stdin}
	}
	guest := &vmmguest.Guest{Address: address, Boot: time.Duration(*boot) * time.Millisecond}
	var result outcome
	var err error
	switch action {
	case "run":
		command.Args = flags.Args()
		command.TimeoutSeconds = uint32(*timeout)
		for _, variable := range env {
			name, value, _ := strings.Cut(variable, "=")
			if command.Env == nil {
				command.Env = map[string]string{}
			}
			command.Env[name] = value
		}
		if *tty != "" {
			command.TTY = true
			_, _ = fmt.Sscanf(*tty, "%dx%d", &command.Columns, &command.Rows)
		}
		err = run(ctx, cancel, guest, &command, stdin, todo, &result)
	case "put":
		err = guest.Put(ctx, flags.Arg(0), fs.FileMode(*mode), stdin)
	case "get":
		err = guest.Get(ctx, flags.Arg(0), &result.Stdout)
	case "request":
		var payload any
		if flags.NArg() > 1 {
			payload = json.RawMessage(flags.Arg(1))
		}
		frame, _ := strconv.Atoi(flags.Arg(0))
		var exit vmmguest.Exit
		result.Status, exit, err = guest.Request(ctx, byte(frame), payload)
		result.Code, result.Signal = exit.Code, exit.Signal
	}
	result.explain(err)
	_ = json.NewEncoder(os.Stdout).Encode(&result)
}

func run(ctx context.Context, leave func(), guest *vmmguest.Guest, command *vmmguest.Command, stdin io.Reader, todo []string, result *outcome) error {
	command.Stdout, command.Stderr, command.Stdin = &result.Stdout, &result.Stderr, stdin
	steps := steps{left: todo, leave: leave}
	if len(todo) > 0 {
		command.Stdin, steps.stdin = io.Pipe()
		result.Stdout.more = func() { steps.follow(&result.Stdout) }
	}
	session, err := guest.Start(ctx, command)
	if err != nil {
		return err
	}
	steps.session = session
	steps.follow(&result.Stdout)
	exit, err := session.Wait()
	result.Code, result.Signal, result.Reason = exit.Code, exit.Signal, exit.Reason
	return err
}

func (o *outcome) explain(err error) {
	if err == nil {
		return
	}
	var said *vmmguest.Error
	var ofFile *vmmguest.FileError
	o.Text = err.Error()
	if errors.As(err, &said) {
		o.Code, o.Text, o.Failure = said.Code, said.Text, "refused"
	} else if errors.As(err, &ofFile) {
		o.Text, o.Failure = ofFile.Text, "file"
	}
	switch {
	case errors.Is(err, vmmguest.ErrBusy):
		o.Failure = "busy"
	case o.Failure != "":
	case errors.Is(err, vmmguest.ErrLost):
		o.Failure = "lost"
	case errors.Is(err, vmmguest.ErrProtocol):
		o.Failure = "protocol"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		o.Failure = "deadline"
	case errors.Is(err, context.Canceled):
		o.Failure = "left"
	default:
		o.Failure = "io"
	}
}
