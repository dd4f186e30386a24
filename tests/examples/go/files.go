// SPDX-License-Identifier: MIT

package vmmguest

import (
	"context"
	"io"
	"io/fs"
	"strings"
)

const (
	frameWrite, frameData, frameDone, frameRead = 0x20, 0x21, 0x22, 0x23
	frameAck, frameError                        = 0x30, 0x31

	portFile = 53
)

// FileError is what the guest says of a file: an errno's name, ": ", and the path or more words.
// It is fs.ErrNotExist, fs.ErrPermission or ErrBusy where it says that.
type FileError struct{ Text string }

func (e *FileError) Error() string { return "the agent says: " + e.Text }

// Is serves errors.Is.
func (e *FileError) Is(target error) bool {
	name, words, _ := strings.Cut(e.Text, ": ")
	switch name {
	case "ENOENT":
		return target == fs.ErrNotExist
	case "EACCES", "EPERM":
		return target == fs.ErrPermission
	case "EBUSY":
		return target == ErrBusy && strings.HasPrefix(words, "busy")
	}
	return false
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

// fileResult reads to the last frame of a request of port 53.
func (c *conn) fileResult(to io.Writer, last byte) error {
	for {
		frame, err := c.next()
		if err != nil || frame == last {
			return err
		}
		if frame == frameData {
			err = c.pass(to)
		}
		if frame == frameError {
			var text []byte
			if text, err = c.hold(); err == nil {
				err = &FileError{string(text)}
			}
		}
		if err != nil {
			return err
		}
	}
}
