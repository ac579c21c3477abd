// The Pulumi provider for Kubernetes, for machines that reach only package registries.
//
// The provider's own main embeds generated files that its Go module does not carry. This one embeds the schema
// that the module does carry (the build copies it here) and serves the same provider.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

// version is set by the linker; it must equal the version of the Python SDK in the stack's lock.
var version string

func main() {
	provider.Serve("kubernetes", version, schema, []byte("{}"))
}
