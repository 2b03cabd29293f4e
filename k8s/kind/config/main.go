// Asks kind itself whether it takes a configuration, without a cluster. Its module is named below kind's own packages, since
// what kind reads and checks by is internal to them.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/kind/pkg/internal/apis/config/encoding"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	cluster, err := encoding.Load(path)
	if err != nil {
		return err
	}
	return cluster.Validate()
}
