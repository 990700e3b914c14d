// oci-registry CERTIFICATE KEY serves a registry of images and charts from memory, over TLS on a free port of 127.0.0.1,
// which it prints: for a dry run of what a release publishes.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: oci-registry CERTIFICATE KEY")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	quiet := log.New(io.Discard, "", 0)
	server := &http.Server{Handler: registry.New(registry.Logger(quiet)), ErrorLog: quiet}
	return server.ServeTLS(listener, os.Args[1], os.Args[2])
}
