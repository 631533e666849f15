// reload DIRECTORY prints the file `answer` in DIRECTORY at the start and after each SIGHUP.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	for ; ; <-hangup {
		text, err := os.ReadFile(filepath.Join(os.Args[1], "answer"))
		if err != nil {
			panic(err)
		}
		fmt.Printf("answer %s\n", text)
	}
}
