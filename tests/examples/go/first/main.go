// SPDX-License-Identifier: MIT

// First is the first answer: what README shows.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"vmmguest"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := first(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func first(ctx context.Context, address string) error {
	guest := vmmguest.Guest{Address: address, Boot: 30 * time.Second}
	exit, err := guest.Run(ctx, &vmmguest.Command{Args: []string{"echo", "hello"}, Stdout: os.Stdout})
	if err == nil {
		fmt.Println("exit code", exit.Code)
	}
	return err
}
