// SPDX-License-Identifier: MIT

// Package vmmguest runs programs in a microVM, and moves files in and out of it, by talking to
// vmm-guest-agent. This file has programs, wire.go what is below; files.go has files, and
// vsock_linux.go that transport, for those who need them: copy what you do into your tree. What
// goes over the wire is said in PROTOCOL.md. Each request is a connection of its own, so that a
// Guest may be used by any number of goroutines.
//
// A guest is not trusted here. Whatever it sends, memory stays bounded: output and files are passed
// on as they come, and what has to be held is refused above a limit. For how long it may take is
// the context's to say: a guest can hang.
package vmmguest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
)

const (
	frameStart, frameStdin, frameResize, frameEOF, frameSignal = 0x01, 0x02, 0x03, 0x04, 0x07
	frameStdout, frameStderr, frameExit, frameStatus           = 0x10, 0x11, 0x12, 0x50

	StatusRequest = 0x40 // for Request; PROTOCOL.md has the others

	portExec = 52
	wordsMax = 8 << 10 // of the agent's own words
)

// Error is the agent's own word on a program: it could not be run (Code 126, 127) or not served
// (125). One that exits with such a code itself is no error.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return "the agent says: " + e.Text }

// Is serves errors.Is.
func (e *Error) Is(target error) bool {
	return target == ErrBusy && e.Code == 125 && strings.HasPrefix(e.Text, "busy")
}

// Guest is one VM, seen from its host.
type Guest struct {
	Address string        // "unix:PATH", the vsock socket of Firecracker or Cloud Hypervisor; "vsock:CID"
	Boot    time.Duration // for so long connecting is tried again: the VM may be booting
}

// Command is a program to run. A nil Stdin is empty, a nil Stdout or Stderr drops what comes.
type Command struct {
	Args           []string          `json:"cmd"`
	Env            map[string]string `json:"env,omitempty"`
	Dir            string            `json:"working_dir,omitempty"`
	User           string            `json:"user,omitempty"`
	TimeoutSeconds uint32            `json:"timeout_seconds,omitempty"` // then the guest kills all of it
	TTY            bool              `json:"tty,omitempty"`             // all output is Stdout then
	Columns        uint16            `json:"tty_width,omitempty"`
	Rows           uint16            `json:"tty_height,omitempty"`
	Stdin          io.Reader         `json:"-"`
	Stdout, Stderr io.Writer         `json:"-"`
}

// Exit is how a program ended. Of one that was killed Code is 128 and the signal's number. Reason
// is "exited", "signaled", "timeout", "oom", …; "" of an agent that does not tell it.
type Exit struct {
	Code, Signal int
	Reason       string
}

// Session is a program that runs. Its methods may be called from any goroutine, Wait once.
type Session struct {
	*Command
	conn *conn
}

// Run runs a program to its end. When ctx is done first, the guest kills all that it started.
func (g *Guest) Run(ctx context.Context, command *Command) (Exit, error) {
	session, err := g.Start(ctx, command)
	if err != nil {
		return Exit{}, err
	}
	return session.Wait()
}

// Start starts a program; Wait must be called.
func (g *Guest) Start(ctx context.Context, command *Command) (*Session, error) {
	// For a report the agent tells of the program's own end, so that its 125 is not the agent's.
	c, err := g.open(ctx, portExec, frameStart, struct {
		*Command
		Report bool `json:"report"`
	}{command, true})
	if err != nil {
		return nil, err
	}
	// Beside the reading of output: a program may write before it has read all. The goroutine ends
	// with the connection or, where it stands in Stdin.Read, when that returns.
	go c.pump(frameStdin, frameEOF, command.Stdin)
	return &Session{command, c}, nil
}

// Signal sends a signal to the program's whole process group.
func (s *Session) Signal(signal syscall.Signal) error {
	return s.conn.send(frameSignal, binary.LittleEndian.AppendUint32(nil, uint32(signal)))
}

// Resize tells the program's terminal its new size.
func (s *Session) Resize(columns, rows uint16) error {
	return s.conn.send(frameResize, binary.LittleEndian.AppendUint32(nil, uint32(rows)<<16|uint32(columns)))
}

// Wait passes the program's output on until its end. An error of Stdin, Stdout or Stderr ends both.
func (s *Session) Wait() (Exit, error) {
	defer s.conn.Close()
	exit, _, err := s.conn.result(s.Stdout, s.Stderr)
	return exit, s.conn.explain(err)
}

// Request sends one of those requests of port 52 that are answered by EXIT, with or without a
// STATUS before it: StatusRequest, 0x43 (RESTORED), … The payload is marshalled if it is not nil.
// A code that is not 0 is no error: the request says what it means.
func (g *Guest) Request(ctx context.Context, frame byte, payload any) (json.RawMessage, Exit, error) {
	c, err := g.open(ctx, portExec, frame, payload)
	if err != nil {
		return nil, Exit{}, err
	}
	defer c.Close()
	exit, status, err := c.result(nil, nil)
	return status, exit, c.explain(err)
}

// result reads to EXIT, which the agent owes for every request of port 52: what is written to it
// meanwhile may fail. The last STATUS comes with it.
func (c *conn) result(stdout, stderr io.Writer) (exit Exit, status []byte, err error) {
	var words string // of the last STDERR
	var report struct{ Event, Reason string }
	for {
		frame, err := c.next()
		switch {
		case err != nil:
		case frame == frameStdout:
			err = c.pass(stdout)
		case frame == frameStderr:
			words = c.peek()
			err = c.pass(stderr)
		case frame == frameStatus:
			report.Event = ""
			if status, err = c.hold(); err == nil && json.Unmarshal(status, &report) != nil {
				err = fmt.Errorf("%w: a STATUS that is not JSON", ErrProtocol)
			}
		case frame == frameExit:
			exit, err = c.exit()
			if err == nil && report.Event == "exited" {
				exit.Reason = report.Reason
			} else if err == nil && exit.Code >= 125 && exit.Code <= 127 {
				err = &Error{exit.Code, words}
			}
			return exit, status, err
		}
		if err != nil {
			return exit, nil, err
		}
	}
}

func (c *conn) exit() (Exit, error) {
	payload, err := c.hold()
	if err == nil && len(payload) < 8 {
		err = fmt.Errorf("%w: an EXIT of %d bytes", ErrProtocol, len(payload))
	}
	if err != nil {
		return Exit{}, err
	}
	code, signal := binary.LittleEndian.Uint32(payload), binary.LittleEndian.Uint32(payload[4:])
	return Exit{Code: int(int32(code)), Signal: int(int32(signal))}, nil
}

// peek looks at the beginning of the frame: at the agent's own words, if it is these.
func (c *conn) peek() string {
	n := c.body.N
	if n > wordsMax {
		n = wordsMax
	}
	text, _ := c.in.Peek(int(n))
	return strings.TrimSpace(string(text))
}
