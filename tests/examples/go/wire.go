// SPDX-License-Identifier: MIT

package vmmguest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"
)

// A frame is its type, a length of 32 bits, little endian, and so many bytes.
const (
	frameMax   = 16 << 20 // the largest legal length
	heldMax    = 1 << 20  // what is held of a frame that is not passed on
	chunk      = 64 << 10
	answerTime = 10 * time.Second      // for the answer to one attempt to connect
	pause      = 20 * time.Millisecond // between two
)

var (
	// ErrLost: the connection ended before the agent had said how the request did, as the VM
	// stopped, say. Whether it was carried out is not known.
	ErrLost = errors.New("the connection to the guest was lost")
	// ErrBusy: the agent has no place for the request now, and did nothing of it.
	ErrBusy = errors.New("the guest is busy")
	// ErrProtocol: what answers does not speak the protocol.
	ErrProtocol = errors.New("what answers is not the agent")

	errAddress = errors.New("the address should be unix:PATH or vsock:CID")
)

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
	body   *io.LimitedReader // what was not read of the frame under way
	mutex  sync.Mutex        // one frame at a time goes out
	cause  chan error        // why this side closed it
}

// dialVsock is set by vsock_linux.go: package net has no vsock.
var dialVsock func(address string, port int) (stream, error)

// open connects, for as long as the VM may be booting, and sends the request's frame.
func (g *Guest) open(ctx context.Context, port int, frame byte, request any) (*conn, error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, err
	} else if request == nil {
		payload = nil
	}
	for booted := time.Now().Add(g.Boot); ; {
		c, err := g.dial(ctx, port)
		if err == nil {
			_ = c.send(frame, payload) // why it fails, if it does, stands in what is read
			return c, nil
		}
		if isFinal(err) || time.Now().Add(pause).After(booted) {
			return nil, fmt.Errorf("%s, port %d: %w", g.Address, port, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s, port %d: %v: %w", g.Address, port, err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// isFinal says whether to try again makes no sense. Else the socket may not be there yet, nobody
// listen at it, or nobody in the guest.
func isFinal(err error) bool {
	return errors.Is(err, ErrProtocol) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errAddress)
}

func (g *Guest) dial(ctx context.Context, port int) (*conn, error) {
	var s stream
	kind, where, _ := strings.Cut(g.Address, ":")
	err := errAddress
	if kind == "unix" {
		s, err = (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "unix", where)
	} else if kind == "vsock" && dialVsock != nil {
		s, err = dialVsock(where, port)
	}
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithCancel(ctx)
	c := &conn{stream: s, ctx: ctx, cancel: cancel, cause: make(chan error, 1)}
	c.in = bufio.NewReaderSize(c, chunk)
	c.body = &io.LimitedReader{R: c.in}
	go func() { // the context's end is the connection's, whoever stands in a read or a write
		<-within.Done()
		s.Close()
	}()
	if kind == "unix" {
		err = c.shakeHands(port)
	}
	if err != nil {
		c.Close()
		return nil, c.explain(err)
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

// Read has one error: that the connection was lost.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	if err != nil {
		err = fmt.Errorf("%w: %v", ErrLost, err)
	}
	return n, err
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
	for err := error(nil); err == nil && from != nil; {
		var n int
		n, err = from.Read(buffer)
		if n > 0 && c.send(frame, buffer[:n]) != nil {
			return
		}
		if err != nil && err != io.EOF {
			c.cause <- err
			c.Close()
			return
		}
	}
	_ = c.send(end, nil)
}

// next begins the next frame. What was left of the one before is dropped.
func (c *conn) next() (byte, error) {
	var header [5]byte
	if err := c.pass(nil); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return 0, err
	}
	c.body.N = int64(binary.LittleEndian.Uint32(header[1:]))
	if c.body.N > frameMax {
		return 0, fmt.Errorf("%w: a frame of %d bytes", ErrProtocol, c.body.N)
	}
	return header[0], nil
}

// pass passes the rest of the frame on, as it comes.
func (c *conn) pass(to io.Writer) error {
	if to == nil {
		to = io.Discard
	}
	_, err := io.Copy(struct{ io.Writer }{to}, c.body) // a ReadFrom might wait for all of it
	return err
}

// hold reads the rest of the frame.
func (c *conn) hold() ([]byte, error) {
	if c.body.N > heldMax {
		return nil, fmt.Errorf("%w: %d bytes to be held", ErrProtocol, c.body.N)
	}
	return io.ReadAll(c.body)
}
