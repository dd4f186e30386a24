// SPDX-License-Identifier: MIT

package vmmguest

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// Package net knows no vsock, and package syscall no address of it; an os.File of one waits for it
// and keeps its deadlines as any connection does. See vsock(7).
const familyVsock = 40

type sockaddrVM struct {
	family, _ uint16
	port, cid uint32
	_         [4]byte
}

func init() {
	// The kernel gives up within 2 s where the VM does not answer.
	dialVsock = func(where string, port int) (stream, error) {
		cid, err := strconv.ParseUint(where, 10, 32)
		if err != nil {
			return nil, err
		}
		fd, err := syscall.Socket(familyVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, os.NewSyscallError("socket", err)
		}
		address := sockaddrVM{family: familyVsock, port: uint32(port), cid: uint32(cid)}
		_, _, number := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd),
			uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
		if number == 0 {
			err = syscall.SetNonblock(fd, true)
		} else {
			err = number
		}
		if err != nil {
			syscall.Close(fd)
			return nil, os.NewSyscallError("connect", err)
		}
		return os.NewFile(uintptr(fd), "vsock"), nil
	}
}
