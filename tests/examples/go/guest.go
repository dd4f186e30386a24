// SPDX-License-Identifier: MIT

// Package vmmguest runs programs in a microVM, and moves files in and out of it, by talking to
// vmm-guest-agent. It is this file, and vsock_linux.go for those who need that transport: copy
// them into your tree. What goes over the wire is said in PROTOCOL.md. Each request is a
// connection of its own, so that a Guest may be used by any number of goroutines.
//
// A guest is not trusted here. Whatever it sends, memory stays bounded: output and files pass
// through a buffer of fixed size, and what has to be held is refused above a limit. For how long
// it may take is the context's to say: a guest can hang.
package vmmguest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A frame is its type, a length of 32 bits, little endian, and so many bytes.
const (
	frameStart, frameStdin, frameResize, frameEOF, frameSignal = 0x01, 0x02, 0x03, 0x04, 0x07
	frameStdout, frameStderr, frameExit, frameStatus           = 0x10, 0x11, 0x12, 0x50
	frameWrite, frameData, frameDone, frameRead                = 0x20, 0x21, 0x22, 0x23
	frameAck, frameError                                       = 0x30, 0x31

	StatusRequest = 0x40 // for Request; PROTOCOL.md has the others

	portExec, portFile = 52, 53
	frameMax           = 16 << 20 // the largest legal length
	heldMax            = 1 << 20  // what is held of a frame that is not passed on
	chunk              = 64 << 10
	answerTime         = 10 * time.Second // for the answer to one attempt to connect
)

var (
	// ErrLost: the connection ended before the agent had said how the request did, as the VM
	// stopped, say. Whether it was carried out is not known.
	ErrLost = errors.New("the connection to the guest was lost")
	// ErrBusy: the agent has no place for the request now, and did nothing of it.
	ErrBusy = errors.New("the guest is busy")
	// ErrProtocol: what answers does not speak the protocol.
	ErrProtocol = errors.New("what answers is not the agent")
)

// Error is the agent's own word. Of a program: it could not be run (Code 126, 127) or not served
// (125); one that exits with such a code itself is no error. Of a file (Code 0) Text begins with
// an errno's name, and the error is fs.ErrNotExist and its like.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return "the agent says: " + e.Text }

// Is serves errors.Is.
func (e *Error) Is(target error) bool {
	name, _, _ := strings.Cut(e.Text, ":")
	switch target {
	case ErrBusy:
		return e.Code == 125 && name == "busy" || e.Code == 0 && strings.HasPrefix(e.Text, "EBUSY: busy")
	case fs.ErrNotExist:
		return e.Code == 0 && name == "ENOENT"
	case fs.ErrPermission:
		return e.Code == 0 && (name == "EACCES" || name == "EPERM")
	}
	return false
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

// Put writes a file, whole or not at all: where the reader fails, or ctx is done, the old one
// stays. Of mode 0 a new file gets 0644, and one that is there keeps its own.
func (g *Guest) Put(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error {
	c, err := g.open(ctx, portFile, frameWrite, map[string]any{"path": path, "mode": mode.Perm()})
	if err != nil {
		return err
	}
	defer c.Close()
	// Beside the reading of the answer: the guest may refuse in the middle, and is sent no more then.
	go c.pump(frameData, frameDone, from)
	return c.explain(c.fileResult(nil, frameAck))
}

// Get reads a file. Where it returns an error, what was written until then is not the whole file.
func (g *Guest) Get(ctx context.Context, path string, to io.Writer) error {
	c, err := g.open(ctx, portFile, frameRead, map[string]any{"path": path})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.explain(c.fileResult(to, frameDone))
}

// ---- a connection

type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// conn has one reader, and any number of writers.
type conn struct {
	stream
	ctx    context.Context // the caller's
	cancel func()
	in     *bufio.Reader
	left   uint32 // bytes of the frame under way that were not read
	buffer []byte
	mutex  sync.Mutex // one frame at a time goes out
	cause  chan error // why this side closed it
}

// dialVsock is set by vsock_linux.go: package net has no vsock.
var dialVsock func(address string, port int) (stream, error)

// These errors may mean that the VM is booting: the socket is not there, nobody listens at it, or
// nobody does in the guest.
var bootErrors = []error{syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	syscall.EAGAIN, syscall.ENODEV, syscall.ETIMEDOUT, os.ErrDeadlineExceeded, io.EOF}

// open connects, and sends the request's frame.
func (g *Guest) open(ctx context.Context, port int, frame byte, request any) (*conn, error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, err
	} else if request == nil {
		payload = nil
	}
	deadline := time.Now().Add(g.Boot)
	for pause := 10 * time.Millisecond; ; {
		c, err := g.dial(ctx, port)
		if err == nil {
			_ = c.send(frame, payload) // why it fails, if it does, stands in what is read
			return c, nil
		}
		again := false
		for _, e := range bootErrors {
			again = again || errors.Is(err, e) && time.Until(deadline) > pause
		}
		if ctx.Err() == nil && !again {
			return nil, fmt.Errorf("%s, port %d: %w", g.Address, port, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s, port %d: %v: %w", g.Address, port, err, ctx.Err())
		case <-time.After(pause):
			pause = pause*3/2 + time.Millisecond // 10 ms at first; after 5 s of it, 2 s
		}
	}
}

func (g *Guest) dial(ctx context.Context, port int) (*conn, error) {
	kind, where, _ := strings.Cut(g.Address, ":")
	var s stream
	var err error
	switch {
	case kind == "unix":
		s, err = (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "unix", where)
	case kind == "vsock" && dialVsock != nil:
		s, err = dialVsock(where, port)
	default:
		err = errors.New("the address should be unix:PATH or vsock:CID")
	}
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithCancel(ctx)
	c := &conn{stream: s, ctx: ctx, cancel: cancel, in: bufio.NewReaderSize(s, chunk),
		buffer: make([]byte, chunk), cause: make(chan error, 1)}
	go func() { // the context's end is the connection's, whoever stands in a read or a write
		<-within.Done()
		s.Close()
	}()
	if kind == "unix" {
		if err = c.shakeHands(port); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// shakeHands asks the VMM for a port of the guest. It closes while nobody listens there.
func (c *conn) shakeHands(port int) error {
	_ = c.SetDeadline(time.Now().Add(answerTime))
	_, _ = fmt.Fprintf(c.stream, "CONNECT %d\n", port)
	line, err := c.in.ReadSlice('\n')
	if err == nil && !strings.HasPrefix(string(line), "OK ") || err == bufio.ErrBufferFull {
		return ErrProtocol
	}
	_ = c.SetDeadline(time.Time{})
	return err
}

func (c *conn) Close() error {
	c.cancel()
	return c.stream.Close()
}

// explain turns the error of a read into why it came to it.
func (c *conn) explain(err error) error {
	if err == nil || c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	select {
	case cause := <-c.cause:
		return cause
	default:
		return err
	}
}

func (c *conn) send(frame byte, payload []byte) error {
	header := binary.LittleEndian.AppendUint32([]byte{frame}, uint32(len(payload)))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_, err := c.Write(append(header, payload...))
	return err
}

// pump sends all of a reader as frames, and its end as another. That the guest takes no more is
// told by its answer. A reader that fails must not look like one that ends.
func (c *conn) pump(frame, end byte, from io.Reader) {
	buffer := make([]byte, chunk)
	for from != nil {
		n, err := from.Read(buffer)
		if n > 0 && c.send(frame, buffer[:n]) != nil {
			return
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			c.cause <- err
			c.Close()
			return
		}
	}
	_ = c.send(end, nil)
}

// next begins the next frame. What was left of the one before is dropped.
func (c *conn) next() (frame byte, err error) {
	var header [5]byte
	if err = c.pass(nil); err != nil {
		return 0, err
	}
	if _, err = io.ReadFull(c.in, header[:]); err != nil {
		return 0, ErrLost
	}
	if c.left = binary.LittleEndian.Uint32(header[1:]); c.left > frameMax {
		return 0, fmt.Errorf("%w: a frame of %d bytes", ErrProtocol, c.left)
	}
	return header[0], nil
}

// pass passes the rest of the frame on, as it comes.
func (c *conn) pass(to io.Writer) error {
	for c.left > 0 {
		n, err := c.in.Read(c.buffer[:minimum(c.left, chunk)])
		if err != nil {
			return ErrLost
		}
		c.left -= uint32(n)
		if to != nil {
			if _, err = to.Write(c.buffer[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// hold reads the rest of the frame.
func (c *conn) hold() ([]byte, error) {
	if c.left > heldMax {
		return nil, fmt.Errorf("%w: %d bytes to be held", ErrProtocol, c.left)
	}
	var held bytes.Buffer
	err := c.pass(&held)
	return held.Bytes(), err
}

// result reads to EXIT, which the agent owes for every request of port 52: what is written to it
// meanwhile may fail. The last STATUS comes with it.
func (c *conn) result(stdout, stderr io.Writer) (exit Exit, status []byte, err error) {
	var words string // of the last STDERR: the agent's own, if it has any
	var event struct{ Event, Reason string }
	for err == nil {
		var frame byte
		if frame, err = c.next(); err != nil {
			break
		}
		switch frame {
		case frameStdout:
			err = c.pass(stdout)
		case frameStderr:
			start, _ := c.in.Peek(int(minimum(c.left, chunk/8)))
			words = strings.TrimSpace(string(start))
			err = c.pass(stderr)
		case frameStatus:
			event.Event = ""
			if status, err = c.hold(); err == nil && json.Unmarshal(status, &event) != nil {
				err = fmt.Errorf("%w: a STATUS that is not JSON", ErrProtocol)
			}
		case frameExit:
			var payload []byte
			if payload, err = c.hold(); err == nil && len(payload) < 8 {
				err = fmt.Errorf("%w: an EXIT of %d bytes", ErrProtocol, len(payload))
			}
			if err != nil {
				break
			}
			exit.Code = int(int32(binary.LittleEndian.Uint32(payload)))
			exit.Signal = int(int32(binary.LittleEndian.Uint32(payload[4:])))
			if event.Event == "exited" {
				exit.Reason = event.Reason
			} else if exit.Code >= 125 && exit.Code <= 127 {
				err = &Error{exit.Code, words}
			}
			return exit, status, err
		}
	}
	return exit, nil, err
}

// fileResult reads to the last frame of a request of port 53.
func (c *conn) fileResult(to io.Writer, last byte) error {
	for {
		frame, err := c.next()
		switch {
		case err != nil || frame == last:
			return err
		case frame == frameData:
			err = c.pass(to)
		case frame == frameError:
			var text []byte
			if text, err = c.hold(); err == nil {
				err = &Error{Text: string(text)}
			}
		}
		if err != nil {
			return err
		}
	}
}

func minimum(a, b uint32) uint32 {
	if a < b {
		return a
	}
	return b
}
